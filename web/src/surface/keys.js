/** Growing lists of whole numbers. */

/** Whole numbers of 32 bits, as many as come. */
export class Keys {
  constructor(room = 1024) {
    this.values = new Int32Array(room);
    this.length = 0;
  }

  push(value) {
    if (this.length === this.values.length) {
      const more = new Int32Array(2 * this.length);
      more.set(this.values);
      this.values = more;
    }
    this.values[this.length++] = value;
  }

  /** All of them, in a view. */
  all() {
    return this.values.subarray(0, this.length);
  }

  /** Each once, ascending. */
  distinct() {
    const sorted = this.all().slice().sort();
    let count = 0;
    for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i];
    return sorted.subarray(0, count);
  }
}
