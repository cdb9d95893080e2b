// Elements made of names and texts. Texts are never read as markup.

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

// A name of somebody's file, which may be written from right to left.
export const name = (text) => {
  const element = document.createElement("bdi");
  element.textContent = text;
  return element;
};

// Makes the children of a list those of *items*: an item that is still there keeps its element, and so the focus, its
// picture and its place on the screen. *change* brings an element up to date.
export function list(element, items, make, change = () => {}) {
  const there = new Map([...element.children].map((child) => [child.dataset.id, child]));
  let place = element.firstElementChild;
  for (const item of items) {
    let child = there.get(item.id);
    there.delete(item.id);
    if (!child) {
      child = make(item);
      child.dataset.id = item.id;
    }
    change(child, item);
    if (child === place) place = place.nextElementSibling;
    else element.insertBefore(child, place);
  }
  for (const child of there.values()) {
    for (const picture of child.querySelectorAll("img")) picture.removeAttribute("src");
    child.remove();
  }
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
