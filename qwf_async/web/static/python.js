// What is shown, as lines of Python that read the same values.

export function asPython({ server, view, data }) {
  if (view.load) return `# ${view.name} is not published yet: qwf_async reads it when it is\n`;
  const index = ["t", "x", "y", "z"].map((name) => {
    const drawn = data.axes.indexOf(name);
    if (drawn < 0) return String(view[name]);
    const [start, stop] = view.zoom[name] ?? ["", ""];
    return data.step[drawn] === 1 ? `${start}:${stop}` : `${start}:${stop}:${data.step[drawn]}`;
  });
  return [
    "import qwf_async as qwf",
    "",
    ...(/:\*+@/.test(server) ? ["# The password is not shown: put it into the address, or leave the address out and set QWF_URL."] : []),
    `with qwf.open(${quoted(server)}) as store:`,
    `    psi = store[${quoted(view.name)}]`,
    `    values = psi[${index.join(", ")}]  # t, x, y, z`,
    "",
  ].join("\n");
}

function quoted(text) {
  return JSON.stringify(text);
}
