// Elements of the page, made in one line each. Texts are set as texts, so no name can become markup.

/** An element with attributes, and with children, which are elements or texts. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** As `element`, of an SVG picture. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

export function button(text, onclick) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", onclick);
  return made;
}

/** A label around a control, and what else belongs to it. */
export function labelled(text, ...controls) {
  return element("label", { class: "control" }, element("span", {}, text), ...controls);
}

/** Let the browser save a blob as a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
