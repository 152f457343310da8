// The shaders of the volume. A ray goes through each pixel, and gathers colour and opacity from front to back.

export const VERTEX = `#version 300 es
// One triangle that covers the picture; no buffers.
out vec2 at;
void main() {
  at = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(at, 0.0, 1.0);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler3D;

uniform sampler3D field;     // Re ψ, Im ψ, |ψ|², as shares of the largest; its axes are z, y, x
uniform sampler2D phases;    // the colours of the phases from −π to π, one row
uniform vec3 eye, right, up, forward;
uniform vec2 slopes;
uniform vec3 halfSize;       // of the box, which is around the origin
uniform vec3 low, high;      // what of the box holds anything to see, as shares of it
uniform vec3 texel;          // the size of a point, as a share of the box, along x, y, z
uniform float threshold;     // share of the largest |ψ|² below which nothing is seen
uniform float extinction;    // opacity of the largest |ψ|² for each length of the scene
uniform float stride;        // length of a step

in vec2 at;
out vec4 painted;

const float PI = 3.14159265358979;
const int MAX_STEPS = 2048;

vec3 sampleAt(vec3 place) { return texture(field, place.zyx).rgb; }

vec3 colourOf(vec2 psi) {
  float turns = dot(psi, psi) > 0.0 ? atan(psi.y, psi.x) / (2.0 * PI) + 0.5 : 0.5;
  int count = textureSize(phases, 0).x;
  return texelFetch(phases, ivec2(int(floor(turns * float(count))) % count, 0), 0).rgb;
}

// The slope of |ψ|² by four samples on the corners of a tetrahedron.
vec3 slopeAt(vec3 place) {
  const vec2 k = vec2(1.0, -1.0);
  return k.xyy * sampleAt(place + k.xyy * texel).b + k.yyx * sampleAt(place + k.yyx * texel).b
       + k.yxy * sampleAt(place + k.yxy * texel).b + k.xxx * sampleAt(place + k.xxx * texel).b;
}

void main() {
  vec3 ray = normalize(forward + at.x * slopes.x * right + at.y * slopes.y * up);
  vec3 safe = mix(ray, vec3(1e-6), lessThan(abs(ray), vec3(1e-6)));
  vec3 first = ((2.0 * low - 1.0) * halfSize - eye) / safe;
  vec3 second = ((2.0 * high - 1.0) * halfSize - eye) / safe;
  vec3 entries = min(first, second), exits = max(first, second);
  float begin = max(max(max(entries.x, entries.y), entries.z), 0.0);
  float end = min(min(exits.x, exits.y), exits.z);
  painted = vec4(0.0);
  if (end <= begin) return;

  // Each ray begins at another share of a step, so that steps do not show as rings (Jimenez 2014).
  float shifted = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
  vec3 place = ((eye + ray * begin) / halfSize + 1.0) / 2.0;
  vec3 step3 = ray * stride / halfSize / 2.0;
  place += step3 * shifted;
  int steps = min(int(ceil((end - begin) / stride - shifted)), MAX_STEPS);
  vec3 gathered = vec3(0.0);
  float clear = 1.0;           // how much light comes through what lies before
  for (int i = 0; i < steps; i++, place += step3) {
    vec3 found = sampleAt(place);
    if (found.b <= threshold) continue;
    float share = (found.b - threshold) / (1.0 - threshold);
    float opaque = 1.0 - exp(-extinction * sqrt(share) * stride);   // independent of the length of a step
    vec3 slope = slopeAt(place) / (texel * halfSize);
    float steep = length(slope);
    float facing = steep > 0.0 ? abs(dot(slope, ray)) / steep : 1.0;
    gathered += clear * opaque * colourOf(found.rg) * (0.72 + 0.28 * facing);
    clear *= 1.0 - opaque;
    if (clear < 0.01) break;
  }
  painted = vec4(gathered, 1.0 - clear);
}`;
