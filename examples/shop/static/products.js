// The products: the first ten of an order, more on demand, and how many there are in all.

import { glow, rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

// showProducts draws the products. It returns choose(category), which narrows them, and redraw().
export function showProducts(page, editor) {
  const asked = { category: undefined, search: "", sort: "name" };
  let products;
  let draw;
  let stop = () => {};

  // follow asks for what is chosen now. What was followed before is kept for a minute: going back costs nothing.
  const follow = () => {
    stop();
    const where = {};
    if (asked.category) where.category_id = asked.category;
    if (asked.search) where.name__icontains = asked.search;
    products = page.live.list("products", { where, order: asked.sort, limit: 10, include: ["category", "tags"] });
    const count = page.live.count("products", { where });
    draw = drawProducts(page, products, editor);
    const tell = () => {
      const n = count.value;
      $("count").textContent = n === undefined ? "\u00a0" : `${n} ${n === 1 ? "product" : "products"}`;
      $("empty").hidden = products.status.state === "loading" || products.rows.length > 0;
      $("more").hidden = !products.hasMore;
    };
    const ends = [
      products.subscribe((list, { state, error }) => {
        if (error?.code === "unknown_field") return sort("name"); // what staff may sort by is nothing to others
        if (state === "loading") return;
        draw(list);
        tell();
        $("products").removeAttribute("aria-busy");
      }),
      count.subscribe(tell),
    ];
    stop = () => ends.forEach((end) => end());
  };

  const sort = (by) => {
    asked.sort = $("sort").value = by;
    queueMicrotask(follow);
  };

  $("more").addEventListener("click", async () => {
    $("more").disabled = true;
    await products.more().catch((problem) => page.toast(problem.detail));
    $("more").disabled = false;
  });
  $("sort").addEventListener("change", () => sort($("sort").value));
  let typing;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      asked.search = $("search").value.trim();
      follow();
    }, 200);
  });

  $("new").addEventListener("click", () => editor.create(products, asked.category));
  const scale = (factor) => async () => {
    // One call, and one transaction: all prices or none.
    const all = products.rows.map((product) => ({ key: product.id, data: { price: Math.round(product.price * factor) } }));
    await products.update(all).then(
      () => page.toast(`${all.length} prices are changed.`),
      (problem) => page.toast(refused(problem, products)),
    );
  };
  $("dearer").addEventListener("click", scale(1.1));
  $("cheaper").addEventListener("click", scale(0.9));

  follow();
  return {
    choose(category) {
      asked.category = category;
      follow();
    },
    redraw: () => products.status.state !== "loading" && draw(products.rows, true),
  };
}

// refused says which of several rows is the reason: the names of its errors are "3.price".
function refused(problem, products) {
  const [name, messages] = Object.entries(problem.errors)[0] ?? [];
  const row = products.rows[Number.parseInt(name, 10)];
  return row ? `Nothing is changed. ${row.name}: ${messages[0]}` : problem.detail;
}

function drawProducts(page, products, editor) {
  const failed = (problem) => page.toast(problem.detail);

  return rows($("products"), $("product-row"), {
    key: (product) => products.key(product),
    made(item, row) {
      item.querySelector(".buy").addEventListener("click", () => {
        const { id, name } = row();
        page.live.call("products", "order", { key: id, data: { quantity: 1 } }).then(() => page.toast(`${name} is in your order.`), failed);
      });
      item.querySelector(".restock").addEventListener("click", () => {
        page.live.call("products", "restock", { key: row().id, data: { quantity: 10 } }).catch(failed);
      });
      item.querySelector(".edit").addEventListener("click", () => editor.edit(products, row()));
    },
    fill(item, product, was) {
      const { name, price, cost, margin, stock, note, in_stock = true, category, tags = [] } = product;
      item.classList.toggle("pending", products.pending(product));
      item.querySelector("h3").textContent = name;
      item.querySelector(".picture").textContent = [...(name || "?")][0];
      item.querySelector(".picture").style.setProperty("--hue", ((product.category_id ?? 0) * 67 + 20) % 360);
      item.querySelector(".category").textContent = category?.name ?? "";
      item.querySelector(".tags").replaceChildren(...tags.map((tag) => Object.assign(document.createElement("span"), { className: "tag", textContent: tag.name })));
      item.querySelector(".price").textContent = page.money(price);
      item.querySelector(".stock").textContent = stock === undefined ? (in_stock ? "In stock" : "Sold out") : `${stock} in stock`;
      item.querySelector(".stock").dataset.out = !in_stock;
      item.querySelector(".inside").textContent = cost === undefined ? "" : `Cost ${page.money(cost)}${margin === undefined ? "" : ` · earns ${page.money(margin)}`}`;
      item.querySelector(".note").textContent = note ?? "";
      const buy = item.querySelector(".buy");
      buy.disabled = !in_stock || page.role === "guest";
      buy.title = page.role === "guest" ? "Guests can only look" : "";
      buy.setAttribute("aria-label", `Order ${name}`);
      item.querySelector(".edit").setAttribute("aria-label", `Edit ${name}`);
      item.querySelector(".restock").setAttribute("aria-label", `Restock ${name}`);
      if (was && (was.price !== price || was.stock !== stock || was.in_stock !== in_stock)) glow(item);
    },
  });
}
