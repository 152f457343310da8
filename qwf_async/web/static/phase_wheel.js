// The legend of phases: a ring in the colours that they have, with 0 to the right and π/2 above.

const RADII = [8, 14];
const MARGIN = 19; // for the letters around it

/** Draw a text that can be read on any ground, by a rim in the colour of the panel. */
export function drawLetters(context, text, x, y, { ink, ground, ratio }) {
  context.lineJoin = "round";
  context.lineWidth = 3 * ratio;
  context.strokeStyle = ground;
  context.strokeText(text, x, y);
  context.fillStyle = ink;
  context.fillText(text, x, y);
}

/** Draw it into the upper left corner of a canvas; `phases` are the colours from −π to π. */
export function drawPhaseWheel(context, phases, { ink, ground, ratio }) {
  const [inner, outer] = RADII.map((radius) => radius * ratio);
  const margin = outer + MARGIN * ratio;
  const [x, y] = [margin + 4 * ratio, margin];
  const far = outer + 9 * ratio;
  const turn = (2 * Math.PI) / phases.length;
  phases.forEach(([red, green, blue], number) => {
    const from = -(-Math.PI + number * turn); // angles of a canvas run clockwise
    context.beginPath();
    context.arc(x, y, outer, from + 0.01, from - turn - 0.01, true);
    context.arc(x, y, inner, from - turn - 0.01, from + 0.01);
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fill();
  });
  context.font = context.font.replace(/[\d.]+px/, `${10 * ratio}px`);
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [text, across, up] of [["0", 1, 0], ["π/2", 0, 1], ["π", -1, 0], ["−π/2", 0, -1]]) {
    drawLetters(context, text, x + across * far, y - up * far, { ink, ground, ratio });
  }
}
