// The form of a product. What the server refuses is said at the fields.

const $ = (id) => document.getElementById(id);

// showEditor returns edit(products, product) and create(products, category): products is the live list that is written to.
export function showEditor(page, categories) {
  const dialog = $("editor");
  const form = dialog.querySelector("form");
  const fields = ["name", "category_id", "price", "cost", "stock", "note"];
  const marks = showMarks(page);
  let products;
  let product; // as it was when the form was opened; undefined for a new one

  const open = (title, values) => {
    $("editor-title").textContent = title;
    form.elements.category_id.replaceChildren(...categories.rows.map(({ id, name }) => new Option(name, id)));
    for (const name of fields) form.elements[name].value = shown(name, values[name]);
    complain({});
    $("remove").hidden = !product;
    marks.show(product);
    dialog.showModal();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter?.value === "cancel") return dialog.close();
    const data = {};
    for (const name of fields) {
      const typed = form.elements[name].value;
      if (typed === shown(name, product?.[name])) continue;
      data[name] = meant(name, typed);
    }
    const saved = product ? products.update(product.id, data, { version: product.version }) : products.create(data);
    saved.then(() => dialog.close(), refused);
  });

  const refused = (problem) => {
    if (problem.code === "conflict") {
      product = problem.current.fields;
      return complain({ "": ["Somebody else has changed it meanwhile. Save again to write over that."] });
    }
    complain(Object.keys(problem.errors).length ? problem.errors : { "": [problem.detail] });
  };

  const complain = (errors) => {
    $("error-").textContent = errors[""]?.join(" ") ?? "";
    for (const name of fields) {
      $(`error-${name}`).textContent = errors[name]?.join(" ") ?? "";
      if (errors[name]) form.elements[name].setAttribute("aria-invalid", "true");
      else form.elements[name].removeAttribute("aria-invalid");
    }
    form.querySelector("[aria-invalid]")?.focus();
  };

  $("remove").addEventListener("click", () => {
    products.delete(product.id, { version: product.version }).then(() => dialog.close(), refused);
  });
  dialog.addEventListener("close", () => marks.show(undefined));

  return {
    edit(list, row) {
      [products, product] = [list, row];
      open(row.name, row);
    },
    create(list, category = categories.rows[0]?.id) {
      [products, product] = [list, undefined];
      open("A new product", { category_id: category, stock: 0 });
    },
  };
}

// shown is a value as the form has it, and meant what is sent for what was typed: what is no number is sent as it is, and refused.
function shown(name, value) {
  if (value === undefined) return "";
  return name === "price" || name === "cost" ? (value / 100).toFixed(2) : String(value);
}

function meant(name, typed) {
  if (name === "name" || name === "note") return typed;
  const number = typed.trim() === "" ? NaN : Number(typed.replace(",", "."));
  if (Number.isNaN(number)) return typed;
  return name === "price" || name === "cost" ? Math.round(number * 100) : number;
}

// showMarks lets staff tick the tags of a product. Each tick is a row of product_tags that comes or goes.
function showMarks(page) {
  let stop = () => {};
  return {
    show(product) {
      stop();
      stop = () => {};
      $("marks").hidden = !product;
      if (!product) return;
      const tags = page.live.list("tags", { order: "name" });
      const held = page.live.list("product_tags", { where: { product_id: product.id } });
      const draw = () => {
        const boxes = tags.rows.map((tag) => {
          const mark = held.rows.find((mark) => mark.tag_id === tag.id);
          const label = document.createElement("label");
          const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !!mark });
          box.addEventListener("change", () => {
            const done = mark ? held.delete(held.key(mark)) : held.create({ product_id: product.id, tag_id: tag.id });
            done.catch((problem) => page.toast(problem.detail));
          });
          label.append(box, " ", tag.name);
          return label;
        });
        $("marks").replaceChildren($("marks").querySelector("legend"), ...boxes);
      };
      const ends = [tags.subscribe(draw), held.subscribe(draw)];
      stop = () => ends.forEach((end) => end());
    },
  };
}
