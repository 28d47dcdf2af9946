/** Loops of open edges around the faces that are known: twin of meshcodec/format/mesh_front.py. */

/** States of a gate. */
export const OPEN = 0, BORDER = 1, CLOSED = 2;
/** What lies behind a gate. */
export const NONE = 0, NEW = 1, LEFT = 2, RIGHT = 3, OTHER = 4, KNOWN = 5, FRESH = 6;
export const SYMBOLS = 7;
/** What made a face that begins a part. */
export const SEED = 7;
/** Gates of a wave, at most. */
export const MOST_GATES = 128;
/** Above any number of vertices: 65535 faces have at most three times as many. */
export const MOST_VERTICES = 2 ** 20;
const SCAN = 512; // gates of the queue that are looked at for a wave
const MOST_QUEUED = 2 ** 24; // above any number of gates in the queue
const STEPS = 4; // gates to either side among which a vertex of this wave is looked for

/** Gates as linked lists, numbered in the order of their making like vertices and faces. */
export class Front {
  constructor() {
    this.origin = [];
    this.end = [];
    this.apex = []; // third vertex of the face behind each gate
    this.face = []; // number of that face
    this.after = [];
    this.before = [];
    this.state = [];
    this.queue = []; // open gates, with some that are closed since
    this.open = 0;
    this.corners = []; // [i, j, k] of each face
    this.maker = []; // symbol that made each face
    this.parent = []; // face from which each face was made; itself for a seed
    this.second = []; // edges [a, b, face, same corners] that have got a further face
    this.extra = new Set(); // gates that were opened for a further face of an edge
    this.at = new Map(); // open gates by their ends
  }

  /** A face that is attached to nothing. */
  seed(i, j, k) {
    const number = this.corners.length;
    this.addFace(i, j, k, SEED, number);
    const gates = [this.gate(j, i, k, number), this.gate(i, k, j, number), this.gate(k, j, i, number)];
    gates.forEach((gate, n) => this.link(gate, gates[(n + 1) % 3]));
    gates.forEach((gate) => this.glue(gate));
  }

  /**
   * The face (a, b, vertex) at the open gate a -> b.
   * @param {number} place gate that begins at the vertex, where the loops are joined; -1 where there is none
   */
  attach(gate, vertex, place, maker) {
    const a = this.origin[gate];
    const b = this.end[gate];
    const number = this.corners.length;
    this.addFace(a, b, vertex, maker, this.face[gate]);
    const before = this.before[gate];
    const after = this.after[gate];
    this.close(gate, CLOSED);
    this.second.push([a, b, this.face[gate], vertex === this.apex[gate]]);
    const left = this.gate(a, vertex, b, number);
    const right = this.gate(vertex, b, a, number);
    this.link(before, left);
    this.link(right, after);
    if (place < 0) {
      this.link(left, right);
    } else {
      // Either link may be to one of the gates just linked, so the old neighbour is read last.
      this.link(this.before[place], right);
      this.link(left, place);
    }
    this.glue(left);
    this.glue(right);
  }

  /** A gate a -> b for one more face of an edge of a face; its opposite is a border beside it. */
  reopen(a, b, face) {
    const apex = this.corners[face].find((corner) => corner !== a && corner !== b);
    const gate = this.gate(a, b, apex, face);
    const opposite = this.gate(b, a, apex, face);
    this.link(gate, opposite);
    this.link(opposite, gate);
    this.close(opposite, BORDER);
    this.extra.add(gate);
  }

  /**
   * Open gates whose surroundings do not touch, at most MOST_GATES; drops closed ones from the queue.
   * @param {number} vertices how many there are
   */
  wave(vertices) {
    const { origin, end, before, after } = this;
    this.queue = this.inOrder();
    const taken = [];
    const marks = new Uint8Array(vertices); // 1 around the gates that are taken, 3 at their ends
    const count = Math.min(this.queue.length, SCAN);
    for (let i = 0; i < count; i++) {
      const gate = this.queue[i];
      const a = origin[gate];
      const b = end[gate];
      const l = origin[before[gate]];
      const r = end[after[gate]];
      if (marks[a] || marks[b] || marks[l] === 3 || marks[r] === 3) continue;
      taken.push(gate);
      if (taken.length === MOST_GATES) break;
      marks[l] = 1;
      marks[r] = 1;
      marks[a] = 3;
      marks[b] = 3;
    }
    return taken;
  }

  /** The open gates of the queue by the sum of their ends; of equal sums the order stays. */
  inOrder() {
    const { queue, state, origin, end } = this;
    const keys = new Float64Array(this.open);
    let count = 0;
    for (let i = 0; i < queue.length; i++) {
      const gate = queue[i];
      if (state[gate] === OPEN) keys[count++] = (origin[gate] + end[gate]) * MOST_QUEUED + i;
    }
    keys.sort(); // faster than with a comparison of our own
    return Array.from(keys, (key) => queue[key % MOST_QUEUED]);
  }

  /**
   * Vertices at which there is a gate that begins there: see `placeOf`.
   * @param {number} most vertices from this number on do not count ...
   * @param {number[]} left ... nor do these
   */
  touched(most, left) {
    const { after, end, origin, queue, state } = this;
    const seen = new Uint8Array(most);
    for (const vertex of left) seen[vertex] = 1;
    const found = [];
    const add = (vertex) => {
      if (vertex >= most || seen[vertex]) return;
      seen[vertex] = 1;
      found.push(vertex);
    };
    for (const gate of queue) {
      if (state[gate] !== OPEN) continue;
      add(origin[gate]);
      if (state[after[gate]] === BORDER) add(end[gate]); // else the gate after it is open, and begins there
    }
    return found;
  }

  /** A gate that begins at a vertex, the first open one or the border after an open one; -1 where there is none. */
  placeOf(vertex) {
    const { after, end, origin, queue, state } = this;
    for (const gate of queue) {
      if (state[gate] !== OPEN) continue;
      if (origin[gate] === vertex) return gate;
      if (end[gate] === vertex && state[after[gate]] === BORDER) return after[gate];
    }
    return -1;
  }

  /** Vertices from number `firstFresh` on at most some gates away along the loop, the nearest first. */
  freshNear(gate, firstFresh) {
    const found = new Set();
    let left = this.before[gate];
    let right = this.after[gate];
    for (let step = 0; step < STEPS; step++) {
      for (const vertex of [this.origin[left], this.end[right]]) {
        if (vertex >= firstFresh) found.add(vertex);
      }
      left = this.before[left];
      right = this.after[right];
    }
    return [...found];
  }

  /** Closes an open gate, as CLOSED or as a BORDER. */
  close(gate, state) {
    this.state[gate] = state;
    this.open -= 1;
    const key = this.key(this.origin[gate], this.end[gate]);
    const there = this.at.get(key);
    if (there.length === 1) this.at.delete(key);
    else there.splice(there.indexOf(gate), 1);
  }

  key(a, b) {
    return a * MOST_VERTICES + b;
  }

  addFace(i, j, k, maker, parent) {
    this.corners.push([i, j, k]);
    this.maker.push(maker);
    this.parent.push(parent);
  }

  gate(a, b, apex, face) {
    const gate = this.origin.length;
    this.origin.push(a);
    this.end.push(b);
    this.apex.push(apex);
    this.face.push(face);
    this.after.push(gate);
    this.before.push(gate);
    this.state.push(OPEN);
    this.queue.push(gate);
    this.open += 1;
    const key = this.key(a, b);
    const there = this.at.get(key);
    if (there) there.push(gate);
    else this.at.set(key, [gate]);
    return gate;
  }

  link(one, other) {
    this.after[one] = other;
    this.before[other] = one;
  }

  /** Let a gate and its opposite, where there is one that is open, vanish together. */
  glue(gate) {
    const there = this.at.get(this.key(this.end[gate], this.origin[gate]));
    if (!there || this.state[gate] !== OPEN) return;
    const other = there[0];
    const [before, after] = [this.before[gate], this.after[gate]];
    const [otherBefore, otherAfter] = [this.before[other], this.after[other]];
    if (before !== other) this.link(before, otherAfter);
    if (otherBefore !== gate) this.link(otherBefore, after);
    this.close(gate, CLOSED);
    this.close(other, CLOSED);
    const same = this.apex[gate] === this.apex[other];
    this.second.push([this.origin[other], this.end[other], this.face[other], same]);
  }
}
