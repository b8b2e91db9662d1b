// All that the page has of the server it has by pusher-js, but for the rows that are there when it opens, and what it writes itself.
"use strict";

const $ = (selector) => document.querySelector(selector);

/** Makes an element of a tag with what is in it. */
function make(tag, ...inside) {
  const element = document.createElement(tag);
  element.append(...inside);
  return element;
}

// ?name=Ann is Ann in this window; in the others who was asked stays whom he said.
const name = new URLSearchParams(location.search).get("name") || (localStorage.name ||= prompt("What are you called?") || `Guest ${Math.floor(Math.random() * 1000)}`);

if (window.Pusher) start(); else $("#missing").hidden = false;

function start() {
  const secure = location.protocol === "https:";
  const port = Number(location.port) || (secure ? 443 : 80);
  const pusher = new Pusher(document.body.dataset.key, {
    cluster: "", wsHost: location.hostname, wsPort: port, wssPort: port, forceTLS: secure, enabledTransports: ["ws", "wss"], disableStats: true,
    channelAuthorization: { endpoint: "/pusher/auth", params: { name } },
  });
  pusher.connection.bind("state_change", ({ current }) => ($("#state").textContent = current));
  chat(pusher.subscribe("presence-chat"));
  todos(pusher.subscribe("private-todos-home"));
}

function chat(channel) {
  const showMembers = () => {
    const all = [];
    channel.members.each(({ info }) => all.push(info.name));
    $("#members").replaceChildren(...all.sort().map((name) => make("li", name)));
  };
  for (const event of ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"]) channel.bind(event, showMembers);

  channel.bind("said", (message) => {
    $("#messages").append(make("li", make("b", message.name), message.text));
    $("#messages").lastChild.scrollIntoView({ block: "nearest" });
    $("#typing").textContent = "";
  });
  $("#say").onsubmit = (submitted) => {
    submitted.preventDefault();
    fetch("/say", { method: "POST", body: new URLSearchParams({ name, text: submitted.target.text.value }) });
    submitted.target.reset();
  };

  // What only the others see, and nobody keeps, a client sends by itself.
  let told = 0, quiet;
  $("#say").oninput = () => {
    if (Date.now() - told < 2000) return;
    told = Date.now();
    channel.trigger("client-typing", { name });
  };
  channel.bind("client-typing", ({ name }) => {
    $("#typing").textContent = `${name} is typing`;
    clearTimeout(quiet);
    quiet = setTimeout(() => ($("#typing").textContent = ""), 3000);
  });
}

function todos(channel) {
  const rows = new Map();
  const show = () => $("#todos").replaceChildren(...[...rows.values()].sort((a, b) => a.id - b.id).map((row) => {
    const box = make("input"), label = make("label", box, " ", row.title);
    box.type = "checkbox";
    box.checked = row.done;
    box.onchange = () => write("PATCH", `/live/todos/${row.id}`, { done: box.checked }, row.version).then((ok) => ok || show());
    const remove = make("button", "Remove");
    remove.onclick = () => write("DELETE", `/live/todos/${row.id}`, undefined, row.version);
    return make("li", label, remove);
  }));

  /** Puts what is told into the rows, unless they are newer. */
  const put = ({ key, version, fields }) => {
    const row = rows.get(key);
    if (!row || row.version <= version) rows.set(key, { ...row, ...fields });
  };
  // Rows that were there before are told nobody: they are read once the channel tells what comes after them, and again when it says so.
  const read = async () => {
    const answer = await fetch("/live/todos?list=home");
    if (!answer.ok) return;
    const there = (await answer.json()).rows;
    const keys = new Set(there.map((row) => row.key));
    for (const key of rows.keys()) if (!keys.has(key)) rows.delete(key);
    there.forEach(put);
    show();
  };
  channel.bind("pusher:subscription_succeeded", read);
  channel.bind("resync", read);
  for (const event of ["created", "updated"]) channel.bind(event, (row) => (put(row), show()));
  channel.bind("deleted", ({ key }) => (rows.delete(key), show()));

  $("#add").onsubmit = (submitted) => {
    submitted.preventDefault();
    write("POST", "/live/todos", { list: "home", title: submitted.target.title.value });
    submitted.target.reset();
  };
}

/** Writes a row, whose version says what was seen of it. */
async function write(method, url, fields, version) {
  const headers = { "Content-Type": "application/json", ...(version && { "If-Match": `"${version}"` }) };
  const answer = await fetch(url, { method, headers, body: fields && JSON.stringify(fields) });
  return answer.ok;
}
