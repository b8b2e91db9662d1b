// What somebody wrote, as nodes: text, links and names. Nothing of it is ever parsed as HTML.

const links = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]]/gu;
const names = /(?<![\p{L}\p{M}\p{N}_@-])@([\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*)/gu;

// write puts a text into an element. Of the names that it calls only those are marked that the server says it calls.
export function write(element, text, mentions, me) {
  const called = new Map(mentions.map(({ id, name }) => [name.toLowerCase(), id]));
  const spans = [];
  for (const match of text.matchAll(links)) spans.push([match.index, match[0], link]);
  for (const match of text.matchAll(names)) {
    const id = called.get(match[1].toLowerCase());
    if (id !== undefined) spans.push([match.index, match[0], (name) => mark(name, id === me)]);
  }
  spans.sort(([a], [b]) => a - b);
  const nodes = [];
  let from = 0;
  for (const [index, words, make] of spans) {
    if (index < from) continue; // a name in a link
    nodes.push(text.slice(from, index), make(words));
    from = index + words.length;
  }
  element.replaceChildren(...nodes, text.slice(from));
}

function link(words) {
  const a = document.createElement("a");
  a.href = words;
  a.textContent = words;
  a.target = "_blank";
  a.rel = "noopener noreferrer nofollow";
  return a;
}

function mark(name, mine) {
  const mark = document.createElement("mark");
  mark.textContent = name;
  mark.classList.toggle("mine", mine);
  return mark;
}
