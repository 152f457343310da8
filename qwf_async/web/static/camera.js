// The eye that looks at a box around the origin: a turntable, z upwards, with perspective.
// Lengths are those of the scene, in which the sphere around the box has the radius 1.

const FIELD = Math.tan((14 * Math.PI) / 180); // half the angle of view; small, so that parallels stay nearly so
const FAR = 1 / Math.sin(Math.atan(FIELD)); // at this distance the sphere just fits
const START = { azimuth: -58, elevation: 22, zoom: 1 };
const STEEPEST = 89.9;

export const ZOOM = [0.4, 12];

export class Camera {
  constructor() {
    this.reset();
  }

  reset() {
    Object.assign(this, START);
  }

  /** Turn by degrees: the azimuth around z, the elevation towards the poles and not beyond. */
  turn(azimuth, elevation) {
    this.azimuth = (((this.azimuth + azimuth) % 360) + 360) % 360;
    this.elevation = Math.max(-STEEPEST, Math.min(STEEPEST, this.elevation + elevation));
  }

  /** Make all look larger by a factor. */
  magnify(factor) {
    this.zoom = Math.max(ZOOM[0], Math.min(ZOOM[1], this.zoom * factor));
  }

  /** Where it stands and where it looks, for a picture of a width and a height: vectors, and slopes of rays at its edges. */
  frame(width, height) {
    const azimuth = (this.azimuth * Math.PI) / 180;
    const elevation = (this.elevation * Math.PI) / 180;
    const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
    const smaller = Math.min(width, height);
    const field = FIELD / this.zoom;
    return {
      eye: [FAR * ce * ca, FAR * ce * sa, FAR * se],
      forward: [-ce * ca, -ce * sa, -se],
      right: [-sa, ca, 0],
      up: [-se * ca, -se * sa, ce],
      slopes: [(field * width) / smaller, (field * height) / smaller],
    };
  }
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** The place of a point of the scene in a picture, in pixels from its upper left corner. */
export function projected(frame, point, width, height) {
  const seen = point.map((value, axis) => value - frame.eye[axis]);
  const depth = dot(seen, frame.forward);
  const across = dot(seen, frame.right) / (depth * frame.slopes[0]);
  const up = dot(seen, frame.up) / (depth * frame.slopes[1]);
  return [((1 + across) * width) / 2, ((1 - up) * height) / 2];
}

/**
 * The twelve edges of a box with these half lengths, as pairs of corners, in what is behind and what is in front
 * of all that it holds; `outline` are those between a face that is seen and one that is not.
 */
export function boxEdges(half, eye) {
  const faces = half.map((size, axis) => [eye[axis] < -size, eye[axis] > size]); // [axis][side] is seen
  const edges = { behind: [], before: [], outline: [] };
  for (let axis = 0; axis < 3; axis++) {
    const [second, third] = [(axis + 1) % 3, (axis + 2) % 3];
    for (const one of [0, 1]) {
      for (const other of [0, 1]) {
        const corner = (side) => {
          const place = [0, 0, 0];
          place[axis] = side * half[axis];
          place[second] = (2 * one - 1) * half[second];
          place[third] = (2 * other - 1) * half[third];
          return place;
        };
        const edge = { axis, ends: [corner(-1), corner(1)] };
        const [a, b] = [faces[second][one], faces[third][other]];
        (a || b ? edges.before : edges.behind).push(edge);
        if (a !== b) edges.outline.push(edge);
      }
    }
  }
  return edges;
}
