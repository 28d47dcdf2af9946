/** Cells a side of a grid. */
export const MIN_RESOLUTION = 16, MAX_RESOLUTION = 256;
