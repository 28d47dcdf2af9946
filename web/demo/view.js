/** Shaded meshes on canvases: one WebGL context draws all of them. */

const VERTEX = `#version 300 es
uniform mat3 turn;
uniform vec2 scale;
in vec3 position;
out vec3 place;
void main() {
  place = turn * position;
  gl_Position = vec4(place.xy * scale, -0.25 * place.z, 1.0 - 0.3 * place.z);
}`;
// A face's normal is that of the pixels next to each other, turned towards the viewer.
const FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 color;
in vec3 place;
out vec4 pixel;
void main() {
  vec3 normal = normalize(cross(dFdx(place), dFdy(place)));
  normal *= normal.z < 0.0 ? -1.0 : 1.0;
  float key = max(dot(normal, normalize(vec3(-0.4, 0.6, 0.7))), 0.0);
  float fill = max(dot(normal, normalize(vec3(0.8, -0.1, 0.5))), 0.0);
  pixel = vec4(color * (0.25 + 0.7 * key + 0.22 * fill), 1.0);
}`;

/** How shapes are looked at; shared by canvases that turn together. */
export class Camera {
  constructor() {
    this.turn = 2.6;
    this.tilt = 0.35;
    this.zoom = 1;
  }

  rotate(turn, tilt) {
    this.turn += turn;
    this.tilt = Math.min(Math.max(this.tilt + tilt, -1.55), 1.55);
  }

  enlarge(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.3), 12);
  }

  /** About the upright axis, then towards the viewer; by columns. */
  matrix() {
    const [c, s, d, t] = [Math.cos(this.turn), Math.sin(this.turn), Math.cos(this.tilt), Math.sin(this.tilt)];
    return [c, s * t, -s * d, 0, d, t, s, -c * t, c * d];
  }

  /** Factors of x and y for a canvas of a width over its height. */
  scale(aspect) {
    const zoom = 0.95 * this.zoom;
    return aspect > 1 ? [zoom / aspect, zoom] : [zoom, zoom * aspect];
  }
}

/** Draws meshes. */
export class Renderer {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.gl = this.canvas.getContext('webgl2', { alpha: true, antialias: true, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error('this browser has no WebGL 2');
    const { gl } = this;
    this.program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.bindAttribLocation(this.program, 0, 'position');
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(this.program));
    this.uniforms = Object.fromEntries(
      ['turn', 'scale', 'color'].map((name) => [name, gl.getUniformLocation(this.program, name)]),
    );
    gl.useProgram(this.program);
    gl.enable(gl.DEPTH_TEST);
  }

  /**
   * A mesh that can be drawn until `free`.
   * @param {{positions: Float32Array, indices: Uint32Array}} mesh
   * @param {{middle: number[], scale: number}} [box] of the mesh that it is shown beside; else its own
   */
  shape({ positions, indices }, box = boxOf(positions)) {
    const { gl } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const buffers = [gl.createBuffer(), gl.createBuffer()];
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[0]);
    // The differences to the middle, so that shapes far from the origin keep their digits.
    gl.bufferData(gl.ARRAY_BUFFER, positions.map((value, i) => (value - box.middle[i % 3]) * box.scale), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[1]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    return { array, buffers, count: indices.length, box };
  }

  free({ array, buffers }) {
    this.gl.deleteVertexArray(array);
    for (const buffer of buffers) this.gl.deleteBuffer(buffer);
  }

  /** Draws a shape on a canvas of the page. */
  draw(shape, camera, canvas, color = [0.62, 0.7, 0.8]) {
    const { gl, uniforms } = this;
    const by = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(Math.round(canvas.clientWidth * by), 1);
    const height = Math.max(Math.round(canvas.clientHeight * by), 1);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    Object.assign(this.canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix3fv(uniforms.turn, false, camera.matrix());
    gl.uniform2fv(uniforms.scale, camera.scale(width / height));
    gl.uniform3fv(uniforms.color, color);
    gl.bindVertexArray(shape.array);
    gl.drawElements(gl.TRIANGLES, shape.count, gl.UNSIGNED_INT, 0);
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    context.drawImage(this.canvas, 0, 0);
  }
}

/** Middle of a mesh, and what makes its longest half-diagonal 1. */
export function boxOf(positions) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i++) {
    low[i % 3] = Math.min(low[i % 3], positions[i]);
    high[i % 3] = Math.max(high[i % 3], positions[i]);
  }
  const middle = low.map((value, axis) => value / 2 + high[axis] / 2);
  const reach = Math.hypot(...high.map((value, axis) => value / 2 - low[axis] / 2));
  return { middle, scale: 1 / (reach || 1) };
}

/** Lets a canvas turn and zoom a camera by pointers, wheel and keys; `changed` draws. */
export function steer(canvas, camera, changed) {
  const pointers = new Map();
  const span = () => {
    const [one, other] = pointers.values();
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener('pointermove', (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const before = pointers.size === 2 ? span() : 0;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 2) camera.enlarge(span() / (before || 1));
    else camera.rotate((event.clientX - last.x) * 0.01, (event.clientY - last.y) * 0.01);
    changed();
  });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      camera.enlarge(Math.exp(-event.deltaY * 0.0015));
      changed();
    },
    { passive: false },
  );
  const keys = {
    ArrowLeft: () => camera.rotate(-0.15, 0),
    ArrowRight: () => camera.rotate(0.15, 0),
    ArrowUp: () => camera.rotate(0, 0.15),
    ArrowDown: () => camera.rotate(0, -0.15),
    '+': () => camera.enlarge(1.15),
    '-': () => camera.enlarge(1 / 1.15),
  };
  canvas.addEventListener('keydown', (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    changed();
  });
}
