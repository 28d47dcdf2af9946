
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = $("blank").namespaceURI;
  const TAGS = data.taus.map((tau) => String(tau).replace(".", ""));

  // All text that comes from files goes through textContent: none of it is ever parsed as HTML.
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function svg(name, attributes = {}, text = null) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  }

  const digits = (count) => (value) => value === null ? "\u2013" : value.toFixed(count);
  const whole = (value) => value === null ? "\u2013" : value.toLocaleString("en");
  const stored = (kind, k) => $(`${kind}-${k}`).textContent.split(" ");

  // ---- head

  function showHead() {
    $("about").textContent = `${data.decoded} against ${data.references} \u00b7 ${data.date} \u00b7 ` +
      `meshcodec ${data.version} \u00b7 ${whole(data.samples)} samples a surface`;
    const s = data.summary;
    const tile = (value, label) => $("tiles").append(
      element("div", { class: "tile" }, element("b", {}, value), element("span", {}, label)));
    tile(whole(s.meshes), s.meshes === 1 ? "mesh" : "meshes");
    if (s.failed) tile(whole(s.failed), "failed, counted as 0");
    TAGS.forEach((tag, t) => tile(digits(3)(s[`mean_f_${tag}`]),
      `mean F@${data.taus[t]} (median ${digits(3)(s[`median_f_${tag}`])})`));
    if (s.mean_bytes !== null) tile(whole(Math.round(s.mean_bytes)), "mean bytes of a decoded file");
    notice(data.missing, "without a decoded file");
    notice(data.unmatched, "without a reference");
    const { thumbnails, views } = data.left_out;
    if (thumbnails || views) {
      $("notices").append(element("p", { class: "notice mild" },
        `To keep the page small, ${thumbnails} meshes have no thumbnails and ${views} no 3D view: ` +
        "those with the highest F-scores."));
    }
    for (const far of document.querySelectorAll(".far")) {
      far.textContent = `\u2265 ${data.far} of the longest half-extent`;
    }
    for (const ramp of document.querySelectorAll(".ramp")) {
      const pixels = new Uint8ClampedArray(data.colors.flatMap((c) => [...c, 255]));
      ramp.getContext("2d").putImageData(new ImageData(pixels, data.colors.length, 1), 0, 0);
    }
  }

  function notice(names, what) {
    if (!names.length) return;
    const list = element("ul", {}, ...names.map((name) => element("li", {}, name)));
    $("notices").append(element("div", { class: "notice" },
      `${names.length} ${names.length === 1 ? "file" : "files"} ${what}:`, list));
  }

  // ---- charts

  const BINS = 20;

  function showHistograms() {
    TAGS.forEach((tag, t) => {
      const values = data.rows.map((row) => row[`f_${tag}`]);
      const counts = new Array(BINS).fill(0);
      for (const f of values) counts[Math.min(Math.floor(f * BINS), BINS - 1)] += 1;
      const top = Math.max(...counts, 1);
      const [W, H, left, right, upper, lower] = [260, 265, 30, 8, 26, 22];
      const x = (f) => left + f * (W - left - right);
      const y = (count) => H - lower - count / top * (H - upper - lower);
      const chart = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img",
        "aria-label": `Distribution of F at ${data.taus[t]}` });
      const mean = data.summary[`mean_f_${tag}`];
      const title = `F@${data.taus[t]}${mean === null ? "" : `, mean ${mean.toFixed(3)}`}`;
      chart.append(svg("text", { x: left, y: 13, class: "title" }, title));
      for (const count of new Set([0, Math.round(top / 2), top])) {
        chart.append(svg("line", { x1: left, x2: W - right, y1: y(count), y2: y(count), class: "axis" }),
          svg("text", { x: left - 5, y: y(count) + 4, "text-anchor": "end" }, count));
      }
      counts.forEach((count, k) => {
        const bar = svg("rect", { x: x(k / BINS) + 0.5, y: y(count), width: x(1 / BINS) - x(0) - 1,
          height: y(0) - y(count), class: `tau${t}` });
        bar.append(svg("title", {}, `${(k / BINS).toFixed(2)} to ${((k + 1) / BINS).toFixed(2)}: ${count}`));
        chart.append(bar);
      });
      for (const f of [0, 0.25, 0.5, 0.75, 1]) {
        chart.append(svg("text", { x: x(f), y: H - 6, "text-anchor": "middle" }, f));
      }
      if (mean !== null) {
        chart.append(svg("line", { x1: x(mean), x2: x(mean), y1: upper - 6, y2: y(0), class: "mean" }));
      }
      $("bars").append(chart);
    });
  }

  function showScatter() {
    const t = $("tau").selectedIndex;
    const rows = data.rows.map((row, k) => ({ row, k })).filter(({ row }) => row.bytes !== null && row.bytes > 0);
    const [W, H, left, right, upper, lower] = [520, 272, 36, 14, 10, 38];
    const logs = rows.map(({ row }) => Math.log2(row.bytes));
    const low = Math.floor(Math.min(...logs, 10) - 0.2), high = Math.ceil(Math.max(...logs, 10) + 0.2);
    const x = (bytes) => left + (Math.log2(bytes) - low) / (high - low) * (W - left - right);
    const y = (f) => H - lower - f * (H - upper - lower);
    const chart = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Size against F-score" });
    for (const f of [0, 0.25, 0.5, 0.75, 1]) {
      chart.append(svg("line", { x1: left, x2: W - right, y1: y(f), y2: y(f), class: "axis" }),
        svg("text", { x: left - 6, y: y(f) + 4, "text-anchor": "end" }, f));
    }
    const stride = Math.max(1, Math.ceil((high - low) / 8));
    for (let e = low; e <= high; e += stride) {
      chart.append(svg("line", { x1: x(2 ** e), x2: x(2 ** e), y1: upper, y2: y(0), class: "axis" }),
        svg("text", { x: x(2 ** e), y: H - 22, "text-anchor": "middle" }, size(2 ** e)));
    }
    chart.append(svg("text", { x: (left + W - right) / 2, y: H - 5, "text-anchor": "middle" },
      "bytes of the decoded file"));
    for (const { row, k } of rows) {
      const f = row[`f_${TAGS[t]}`];
      const dot = svg("circle", { cx: x(row.bytes), cy: y(f), r: rows.length > 100 ? 3 : 4.5,
        class: `dot ${row.error ? "failed" : `tau${t}`}` });
      dot.append(svg("title", {}, `${row.file}\n${row.bytes} bytes, ${row.error || `F ${f.toFixed(3)}`}`));
      dot.addEventListener("click", () => viewer.open(k));
      chart.append(dot);
    }
    $("dots").replaceChildren(chart);
  }

  function size(bytes) {
    for (const [unit, one] of [["G", 2 ** 30], ["M", 2 ** 20], ["K", 2 ** 10]]) {
      if (bytes >= one) return `${bytes / one} ${unit}`;
    }
    return bytes >= 1 ? `${bytes}` : "";
  }

  // ---- table

  const COLUMNS = [
    { key: "file", label: "file" },
    { key: "bytes", label: "bytes", show: whole },
    ...TAGS.map((tag, t) => ({ key: `f_${tag}`, label: `F@${data.taus[t]}`, show: digits(3) })),
    { key: "f_exterior_001", label: "exterior F@0.01", show: digits(3) },
    { key: "chamfer", label: "Chamfer", show: digits(4) },
    { key: "p95", label: "p95", show: digits(4) },
    { key: "normal_consistency", label: "normals", show: digits(3) },
    { key: "volume_iou", label: "IoU", show: digits(3) },
    { key: "faces_reference", label: "faces", show: whole },
    { key: "faces", label: "decoded faces", show: whole },
  ];
  const SHOTS = ["original", "decode", "distance"];
  const compareNames = new Intl.Collator("en", { numeric: true }).compare;

  const table = {
    order: data.rows.map((_, k) => k), // rows that are shown, from the top
    elements: [],
    sorting: { key: "f_001", direction: 1 },

    build() {
      const pictured = data.rows.some((row) => row.thumbnails);
      const head = document.querySelector("#table thead tr");
      if (pictured) head.append(...SHOTS.map((name) => element("th", { class: "plain", scope: "col" }, name)));
      for (const column of COLUMNS) {
        const button = element("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.label);
        head.append(element("th", { scope: "col", "data-key": column.key,
          class: column.key === "file" ? "left" : "" }, button));
      }
      this.elements = data.rows.map((row, k) => this.row(row, k, pictured));
      this.arrange();
    },

    row(row, k, pictured) {
      const line = element("tr", { class: `${row.error ? "failed" : ""} ${row.thumbnails ? "" : "bare"}`,
        "data-row": k, onclick: () => viewer.open(k) });
      if (pictured) {
        const shots = SHOTS.map(() => element("td", { class: "shot" }, row.thumbnails ? "" : "\u2013"));
        line.append(...shots);
        if (row.thumbnails) coming.observe(line);
      }
      for (const column of COLUMNS) {
        if (column.key !== "file") {
          // An infinite distance has no number in JSON; a failed row has no figures at all.
          line.append(element("td", {}, row.error && column.key !== "bytes" ? "\u2013" : column.show(row[column.key])));
          continue;
        }
        const cell = element("td", { class: "left" }, element("button", { type: "button" }, row.file));
        if (row.decoded !== null && row.decoded !== row.file) cell.append(element("small", {}, row.decoded));
        if (row.error) cell.append(element("small", { class: "error" }, row.error));
        line.append(cell);
      }
      return line;
    },

    sortBy(key) {
      const same = this.sorting.key === key;
      this.sorting = { key, direction: same ? -this.sorting.direction : 1 };
      this.arrange();
    },

    arrange() {
      const { key, direction } = this.sorting;
      const wanted = $("filter").value.trim().toLowerCase();
      const text = (row) => `${row.file}\n${row.decoded ?? ""}\n${row.error}`.toLowerCase();
      const unknown = (row) => row[key] === null; // last, whichever the direction
      const compare = (a, b) => {
        const [p, q] = [data.rows[a], data.rows[b]];
        if (unknown(p) || unknown(q)) return unknown(p) - unknown(q) || a - b;
        const by = typeof p[key] === "string" ? compareNames(p[key], q[key]) : p[key] - q[key];
        return direction * by || a - b;
      };
      this.order = data.rows.map((_, k) => k).filter((k) => text(data.rows[k]).includes(wanted)).sort(compare);
      document.querySelector("#table tbody").replaceChildren(...this.order.map((k) => this.elements[k]));
      for (const head of document.querySelectorAll("th[data-key]")) {
        if (head.dataset.key === key) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      }
      const all = data.rows.length;
      $("count").textContent = this.order.length === all ? `${all} shown` : `${this.order.length} of ${all} shown`;
    },
  };

  // Thumbnails are decoded when their row comes near the window, and once only.
  const coming = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      coming.unobserve(target);
      const blobs = stored("thumbnails", target.dataset.row);
      target.querySelectorAll("td.shot").forEach((cell, k) => cell.replaceChildren(
        element("img", { src: `data:image/webp;base64,${blobs[k]}`, alt: SHOTS[k], width: 96, height: 96 })));
    }
  }, { rootMargin: "600px" });

  // ---- 3D view

  const VERTEX = `#version 300 es
    in vec3 place; in vec3 normal; in vec3 color;
    uniform mat3 turn; uniform vec3 shift; uniform vec3 lens; // focal lengths, distance of the eye
    out vec3 seen; out vec3 bent; out vec3 paint;
    void main() {
      seen = turn * place + shift;
      bent = turn * normal;
      paint = color;
      float z = seen.z - lens.z, near = 0.1, far = 40.0;
      gl_Position = vec4(seen.xy * lens.xy, (far + near) / (near - far) * z + 2.0 * far * near / (near - far), -z);
    }`;
  // The two lights of the thumbnails, in the frame of the eye; both sides of a face are lit.
  const FRAGMENT = `#version 300 es
    precision highp float;
    in vec3 seen; in vec3 bent; in vec3 paint;
    uniform bool smooth_; uniform bool colored; uniform vec3 base;
    out vec4 pixel;
    void main() {
      vec3 flat_ = normalize(cross(dFdx(seen), dFdy(seen)));
      vec3 n = smooth_ && dot(bent, bent) > 0.0 ? normalize(bent) : flat_;
      if (n.z < 0.0) n = -n;
      float light = 0.38 + 0.62 * max(dot(n, vec3(-0.45, 0.65, 0.61)), 0.0) + 0.20 * max(dot(n, vec3(0.80, -0.05, 0.60)), 0.0);
      pixel = vec4(min((colored ? paint : base) * light, 1.0), 1.0);
    }`;

  class Screen {
    constructor(canvas, base) {
      this.canvas = canvas;
      this.base = base;
      // Kept, so that a picture of the page, or one copied from it, is never empty.
      const gl = this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true, preserveDrawingBuffer: true });
      if (!gl) return;
      const program = this.program = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
      }
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
      gl.useProgram(program);
      gl.enable(gl.DEPTH_TEST);
      this.buffers = { place: gl.createBuffer(), normal: gl.createBuffer(), color: gl.createBuffer(), faces: gl.createBuffer() };
      this.count = 0;
    }

    show(mesh) {
      const gl = this.gl;
      for (const [name, array] of [["place", mesh.place], ["normal", mesh.normal], ["color", mesh.color]]) {
        const at = gl.getAttribLocation(this.program, name);
        gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
        gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
        gl.enableVertexAttribArray(at);
        if (array instanceof Uint8Array) gl.vertexAttribPointer(at, 3, gl.UNSIGNED_BYTE, true, 0, 0);
        else gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
      }
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.faces);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.faces, gl.STATIC_DRAW);
      this.count = mesh.faces.length;
    }

    draw(camera, center, radius, smooth, colored) {
      const gl = this.gl, canvas = this.canvas;
      const ratio = window.devicePixelRatio || 1;
      const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
      gl.viewport(0, 0, w, h);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const [sy, cy, sp, cp] = [Math.sin(camera.yaw), Math.cos(camera.yaw), Math.sin(camera.pitch), Math.cos(camera.pitch)];
      const right = [cy, 0, -sy], up = [-sy * sp, cp, -cy * sp], back = [sy * cp, sp, cy * cp];
      const along = (axis) => -(axis[0] * center[0] + axis[1] * center[1] + axis[2] * center[2]);
      const place = (name) => gl.getUniformLocation(this.program, name);
      gl.uniformMatrix3fv(place("turn"), false, [0, 1, 2].flatMap((k) => [right[k], up[k], back[k]]));
      gl.uniform3f(place("shift"), along(right) + camera.x, along(up) + camera.y, along(back));
      const focal = camera.zoom / Math.tan(FIELD / 2), least = Math.min(w, h);
      // Zooming lengthens the lens rather than moving the eye into the mesh.
      gl.uniform3f(place("lens"), focal * least / w, focal * least / h, radius * 1.04 / Math.sin(FIELD / 2));
      gl.uniform1i(place("smooth_"), smooth);
      gl.uniform1i(place("colored"), colored);
      gl.uniform3f(place("base"), ...this.base.map((c) => c / 255));
      gl.drawElements(gl.TRIANGLES, this.count, gl.UNSIGNED_SHORT, 0);
    }
  }

  const FIELD = 30 * Math.PI / 180;

  // The two meshes of a pair; the format is that of meshcodec/evaluation/report/view3d.py.
  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const header = new DataView(bytes.buffer);
    let at = 0;
    const planes = (count) => {
      const values = new Uint16Array(count);
      for (let k = 0; k < count; k++) values[k] = bytes[at + k] | bytes[at + count + k] << 8;
      at += 2 * count;
      return values;
    };
    const mesh = () => {
      const vertices = header.getUint32(at, true), faces = header.getUint32(at + 4, true);
      at += 8;
      const place = new Float32Array(3 * vertices);
      for (let axis = 0; axis < 3; axis++) {
        let value = 0;
        planes(vertices).forEach((step, k) => {
          value += step & 1 ? -(step + 1) / 2 : step / 2;
          place[3 * k + axis] = (value / 16383 * 2 - 1) * data.limit;
        });
      }
      const color = new Uint8Array(3 * vertices);
      for (let k = 0; k < vertices; k++) color.set(data.colors[bytes[at + k]], 3 * k);
      at += vertices;
      const corners = new Uint16Array(3 * faces);
      const [first, second, third] = [planes(faces), planes(faces), planes(faces)];
      let a = 0;
      for (let k = 0; k < faces; k++) {
        a += first[k];
        corners.set([a, a + second[k], a + third[k]], 3 * k);
      }
      return { place, color, faces: corners, normal: normals(place, corners) };
    };
    return [mesh(), mesh()];
  }

  function normals(place, corners) {
    const sums = new Float32Array(place.length);
    for (let k = 0; k < corners.length; k += 3) {
      const [a, b, c] = [3 * corners[k], 3 * corners[k + 1], 3 * corners[k + 2]];
      const u = [0, 1, 2].map((d) => place[b + d] - place[a + d]), v = [0, 1, 2].map((d) => place[c + d] - place[a + d]);
      const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const corner of [a, b, c]) for (let d = 0; d < 3; d++) sums[corner + d] += n[d];
    }
    return sums;
  }

  // As `frame_of`: the middle of the box, and the radius around it.
  function frame(place) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    place.forEach((value, k) => { low[k % 3] = Math.min(low[k % 3], value); high[k % 3] = Math.max(high[k % 3], value); });
    const center = low.map((value, d) => (value + high[d]) / 2);
    let radius = 0;
    for (let k = 0; k < place.length; k += 3) {
      radius = Math.max(radius, Math.hypot(place[k] - center[0], place[k + 1] - center[1], place[k + 2] - center[2]));
    }
    return { center, radius: radius || 1 };
  }

  const viewer = {
    shown: null,
    screens: null,
    camera: null,
    frame: { center: [0, 0, 0], radius: 1 },

    reset() {
      const rad = Math.PI / 180;
      this.camera = { yaw: data.azimuth * rad, pitch: data.elevation * rad, zoom: 1, x: 0, y: 0 };
    },

    async open(k) {
      const row = data.rows[k];
      this.shown = k;
      const box = $("viewer");
      if (!box.open) {
        this.reset();
        box.showModal();
      }
      box.querySelector("h2").textContent = row.file;
      const place = table.order.indexOf(k);
      $("previous").disabled = place <= 0;
      $("next").disabled = place < 0 || place + 1 >= table.order.length;
      this.figures(row);
      this.screens ??= [new Screen($("original"), [168, 184, 204]), new Screen($("decode"), [204, 184, 156])];
      const usable = this.screens.every((screen) => screen.gl) && typeof DecompressionStream === "function";
      const fault = row.error || (row.view ? usable ? "" : "This browser lacks WebGL 2 or DecompressionStream, which the 3D view needs."
        : "The page holds no 3D view of this mesh.");
      $("fault").textContent = fault;
      $("fault").hidden = !fault;
      box.querySelector(".pair").hidden = Boolean(fault);
      if (fault) return;
      const meshes = await unpack(stored("view", k)[0]);
      if (this.shown !== k) return; // another one was opened meanwhile
      const captions = box.querySelectorAll(".pair figcaption");
      [["original", row.faces_reference], ["decode", row.faces]].forEach(([name, faces], m) => {
        this.screens[m].show(meshes[m]);
        const shown = meshes[m].faces.length / 3;
        captions[m].textContent = `${name}: ${whole(faces)} faces` +
          (shown < faces ? `, simplified to ${whole(shown)} for this view` : "");
      });
      this.frame = frame(meshes[0].place.length ? meshes[0].place : meshes[1].place);
      this.draw();
    },

    figures(row) {
      const entry = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
      const entries = [["bytes", whole(row.bytes)], ["bytes of the original", whole(row.bytes_reference)]];
      if (!row.error) {
        TAGS.forEach((tag, t) => entries.push([`F@${data.taus[t]} (precision, recall)`,
          [row[`f_${tag}`], row[`precision_${tag}`], row[`recall_${tag}`]].map(digits(3)).join("  ")]));
        entries.push(["Chamfer", digits(5)(row.chamfer)], ["95th percentile", digits(4)(row.p95)],
          ["largest distance", digits(4)(row.max)], ["normal consistency", digits(3)(row.normal_consistency)],
          ["volume IoU", digits(3)(row.volume_iou)],
          ["parts, of the original", `${whole(row.components)}, ${whole(row.components_reference)}`]);
      }
      $("figures").replaceChildren(...entries.map(([name, value]) => entry(name, value)));
    },

    draw() {
      const { yaw, pitch, zoom, x, y } = this.camera;
      $("viewer").dataset.camera = [yaw, pitch, zoom, x, y].map((value) => value.toFixed(4)).join(" ");
      if (!this.screens || $("viewer").querySelector(".pair").hidden) return;
      for (const screen of this.screens) {
        screen.draw(this.camera, this.frame.center, this.frame.radius, $("smooth").checked, $("colored").checked);
      }
    },

    step(by) {
      const k = table.order[table.order.indexOf(this.shown) + by];
      if (k !== undefined && table.order.includes(this.shown)) this.open(k);
    },

    turn(dx, dy) {
      this.camera.yaw -= dx;
      this.camera.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.camera.pitch + dy));
      this.draw();
    },

    zoom(by) {
      this.camera.zoom = Math.max(0.2, Math.min(20, this.camera.zoom * by));
      this.draw();
    },

    listen() {
      for (const canvas of [$("original"), $("decode")]) {
        let last = [0, 0];
        canvas.addEventListener("pointerdown", (event) => {
          canvas.setPointerCapture(event.pointerId);
          last = [event.clientX, event.clientY];
          canvas.focus();
        });
        canvas.addEventListener("pointermove", (event) => {
          if (!canvas.hasPointerCapture(event.pointerId)) return;
          const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
          last = [event.clientX, event.clientY];
          if (!event.shiftKey && event.buttons < 2) return this.turn(dx * 0.01, dy * 0.01);
          const unit = 2 * this.frame.radius / Math.min(canvas.clientWidth, canvas.clientHeight) / this.camera.zoom;
          this.camera.x += dx * unit;
          this.camera.y -= dy * unit;
          this.draw();
        });
        canvas.addEventListener("wheel", (event) => {
          event.preventDefault();
          this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
        }, { passive: false });
        canvas.addEventListener("dblclick", () => { this.reset(); this.draw(); });
        canvas.addEventListener("contextmenu", (event) => event.preventDefault());
        canvas.addEventListener("keydown", (event) => {
          const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
          if (turns[event.key]) this.turn(...turns[event.key]);
          else if (event.key === "+" || event.key === "=") this.zoom(1.15);
          else if (event.key === "-") this.zoom(1 / 1.15);
          else return;
          event.preventDefault();
        });
      }
      for (const id of ["colored", "smooth"]) $(id).addEventListener("change", () => this.draw());
      $("previous").addEventListener("click", () => this.step(-1));
      $("next").addEventListener("click", () => this.step(1));
      $("close").addEventListener("click", () => $("viewer").close());
      $("viewer").addEventListener("click", (event) => { // beside the box
        const { left, right, top, bottom } = $("viewer").getBoundingClientRect();
        const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
        if (event.target === $("viewer") && !inside) $("viewer").close();
      });
      $("viewer").addEventListener("keydown", (event) => {
        if (event.key === "p") this.step(-1);
        if (event.key === "n") this.step(1);
      });
      window.addEventListener("resize", () => { if ($("viewer").open) this.draw(); });
    },
  };

  showHead();
  data.taus.forEach((tau) => $("tau").append(element("option", {}, tau)));
  $("tau").selectedIndex = 1;
  $("tau").addEventListener("change", showScatter);
  showHistograms();
  showScatter();
  $("filter").addEventListener("input", () => table.arrange());
  table.build();
  viewer.listen();
})();
