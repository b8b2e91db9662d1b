// The page. Live is the global of /live/live.js: it keeps a live copy of the rows that the page asks for, and everything below only
// draws what it says and tells it what the visitor did.

import { showCategories } from "./categories.js";
import { showEditor } from "./editor.js";
import { showOrders } from "./orders.js";
import { showProducts } from "./products.js";

const $ = (id) => document.getElementById(id);

const transports = { websocket: "WebSocket", sse: "Server-sent events", longpoll: "Long poll", shortpoll: "Short poll" };
const wish = new URLSearchParams(location.search).get("transport");
const live = Live.connect("/live/", { transport: wish in transports ? wish : undefined, pollInterval: 1000 });

// The badge: how the page is connected, and whether.

live.status.subscribe(({ transport, connected, degraded }) => {
  const [state, text] = connected ? (degraded ? ["late", "Changes come late"] : ["live", transports[transport]]) : ["connecting", "Connecting…"];
  $("badge").dataset.state = state;
  $("transport").textContent = text;
});

let vanish;
const page = {
  live,
  get role() {
    return document.body.dataset.role;
  },
  toast(text) {
    clearTimeout(vanish);
    $("toast").textContent = text;
    $("toast").hidden = false;
    vanish = setTimeout(() => ($("toast").hidden = true), 5000);
  },
};

const euros = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });
page.money = (cents) => (cents === undefined ? "" : euros.format(cents / 100));

const categories = showCategories(page, { choose: (id) => products.choose(id) });
const editor = showEditor(page, categories);
const products = showProducts(page, editor);
const orders = showOrders(page);

// The role. The switch tells the server, and what the server then says of this customer, in every window, decides what is shown.

const me = Number(document.body.dataset.customer);
live.list("customers", { where: { id: me } }).subscribe(([customer]) => {
  if (!customer) return;
  $("role").elements.role.value = customer.role;
  if (customer.role === page.role) return;
  document.body.dataset.role = customer.role;
  products.redraw();
  orders.redraw();
});

$("role").addEventListener("change", async () => {
  const answer = await fetch("/role", { method: "POST", body: new URLSearchParams({ role: $("role").elements.role.value }) }).catch(() => undefined);
  if (answer?.ok) return;
  $("role").elements.role.value = page.role;
  page.toast("That did not work. Try again in a moment.");
});
