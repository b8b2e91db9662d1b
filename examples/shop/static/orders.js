// The orders: one's own, or all of them for staff, each with its lines.

import { glow, rows } from "./rows.js";

const $ = (id) => document.getElementById(id);

const next = { placed: ["packed", "Pack"], packed: ["sent", "Send"] };

// showOrders draws the orders and returns redraw().
export function showOrders(page) {
  const orders = page.live.list("orders", { order: "-created_at", limit: 10, include: ["customer", "products"] });
  const lines = page.live.list("lines"); // nobody follows it: it is written to
  const failed = (problem) => page.toast(problem.errors.state?.[0] ?? problem.detail);
  const advance = (order, state) => orders.update(order.id, { state }).catch(failed);

  const button = (text, does, kind = "") => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, className: kind });
    made.addEventListener("click", does);
    return made;
  };

  const drawLine = (order, line) => {
    const item = document.createElement("li");
    const gone = order.products?.find((product) => product.id === line.product_id)?.in_stock === false;
    const name = Object.assign(document.createElement("span"), { textContent: `${line.quantity} × ${line.name}` });
    const rest = Object.assign(document.createElement("span"), { className: "gone", textContent: gone ? "now sold out" : "" });
    const sum = Object.assign(document.createElement("span"), { className: "amount", textContent: page.money(line.price * line.quantity) });
    item.append(name, rest, sum);
    if (order.state === "placed") {
      const out = button("×", () => lines.delete(line.id, { version: line.version }).catch(failed), "icon");
      out.setAttribute("aria-label", `Take ${line.name} out`);
      item.append(out);
    }
    return item;
  };

  const draw = rows($("orders"), $("order-row"), {
    key: (order) => orders.key(order),
    fill(item, order, was) {
      const { state, customer } = order;
      item.querySelector("h3").textContent = `№ ${order.id}${page.role === "staff" && customer ? ` · ${customer.name}` : ""}`;
      item.querySelector(".state").textContent = state;
      item.querySelector(".state").dataset.state = state;
      item.querySelector(".lines").replaceChildren(...order.lines.map((line) => drawLine(order, line)));
      const sum = (of) => order.lines.reduce((total, line) => total + of(line) * line.quantity, 0);
      const earned = order.lines.some((line) => line.cost !== undefined) ? ` · earns ${page.money(sum((line) => line.price - line.cost))}` : "";
      item.querySelector(".sum").textContent = page.money(sum((line) => line.price)) + earned;
      const does = [];
      if (page.role === "staff" && next[state]) does.push(button(next[state][1], () => advance(order, next[state][0]), "primary"));
      if (state === "placed" || (page.role === "staff" && state === "packed")) does.push(button("Cancel", () => advance(order, "cancelled"), "quiet"));
      item.querySelector(":scope > .line").replaceChildren(...does);
      if (was) glow(item);
    },
  });

  const show = (list, { state }, again) => {
    if (state === "loading") return;
    draw(list, again);
    $("orders-title").textContent = page.role === "staff" ? "All orders" : "Your orders";
    $("no-orders").hidden = list.length > 0;
    $("no-orders").textContent = page.role === "guest" ? "Guests can only look. Become a customer to order." : "Nothing is ordered yet.";
    $("more-orders").hidden = !orders.hasMore;
  };
  orders.subscribe((list, status) => show(list, status));
  $("more-orders").addEventListener("click", () => orders.more().catch(failed));
  return { redraw: () => show(orders.rows, orders.status, true) };
}
