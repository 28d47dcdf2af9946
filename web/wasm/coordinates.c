/* How probable the alternatives of a coordinate are: the same doubles, in the same order, as web/src/mesh/coordinates.js
   and meshcodec/format/mesh_network.py. Nothing here may be reordered. */
#include "kernels.h"

#define BINS 79
#define CANDIDATES 7
#define ALTERNATIVES (BINS + CANDIDATES)
#define COMPONENTS 4
#define BUMPS_AT (5 * COMPONENTS)
#define MIDDLE (BINS / 2)
#define TOTAL 65536.0

/* Tables of functions and of bins. */
struct curves {
    const double *exponential, *logistic, *powers, *firsts, *lasts;
    int last; /* index of `exponential` */
};

/* What is asked of one coordinate. */
struct question {
    double length, spans[3], offset, guess, limit;
    double candidates[CANDIDATES], valid[CANDIDATES];
};

static double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* 2 to a whole power, from -1022 to 1023. */
static double power_of_2(int n) {
    union {
        unsigned long long bits;
        double value;
    } u = {(unsigned long long)(n + 1023) << 52};
    return u.value;
}

static double power(const struct curves *c, double sixteenths) {
    double whole = __builtin_floor(sixteenths * 0.0625);
    return c->powers[(int)(sixteenths - 16 * whole)] * power_of_2((int)whole - 30);
}

static double factor(const struct curves *c, double bump) {
    double size = c->exponential[(int)__builtin_fabs(clamp(bump, -384, 384))] * (1 / TOTAL);
    return bump < 0 ? size : 1 / size;
}

static double cumulative(const struct curves *c, double place) {
    double at = clamp(place, -16, 16) * 32 + 512, low = __builtin_floor(at);
    if (low > 1023) low = 1023;
    double below = c->logistic[(int)low];
    return below + (c->logistic[(int)low + 1] - below) * (at - low);
}

/* The mass of each bin by the mixture, over the bin's width. */
static void densities(const struct curves *c, const int *o, const struct question *q, double mass[BINS]) {
    double scale = power(c, q->length), total = 0;
    int largest = o[0];
    for (int k = 1; k < COMPONENTS; k++) largest = o[k] > largest ? o[k] : largest;
    for (int bin = 0; bin < BINS; bin++) mass[bin] = 0;
    for (int k = 0; k < COMPONENTS; k++) {
        int depth = largest - o[k] < c->last ? largest - o[k] : c->last;
        double weight = c->exponential[depth], unit = 1.0 / 1024;
        double x = o[4 + k] * unit, y = o[8 + k] * unit, z = o[12 + k] * unit;
        double mean = (x * q->spans[0] + y * q->spans[1] + z * q->spans[2]) * scale + q->offset;
        double width = power(c, clamp(__builtin_floor(o[16 + k] * 0.25), -128, 48)) * scale;
        if (width < 0.08) width = 0.08;
        double below = cumulative(c, (c->firsts[0] - 0.5 - mean) / width);
        for (int bin = 0; bin < BINS; bin++) {
            double above = cumulative(c, (c->lasts[bin] + 0.5 - mean) / width);
            mass[bin] += (above - below) * weight;
            below = above;
        }
        total += weight;
    }
    for (int bin = 0; bin < BINS; bin++) {
        mass[bin] = mass[bin] / (total * 1073741824.0) + (c->lasts[bin] - c->firsts[bin] + 1) * power_of_2(-20);
    }
    for (int i = 0; i < 3; i++) mass[MIDDLE - 1 + i] *= factor(c, o[BUMPS_AT + i]);
    for (int bin = 0; bin < BINS; bin++) mass[bin] /= c->lasts[bin] - c->firsts[bin] + 1;
}

/* Values in each bin that are inside of the grid and no candidates; the bin of each candidate. */
static void rooms(const struct curves *c, const struct question *q, double room[BINS], int bins[CANDIDATES]) {
    for (int bin = 0; bin < BINS; bin++) {
        double low = c->firsts[bin] > -q->guess ? c->firsts[bin] : -q->guess;
        double most = q->limit - q->guess, high = c->lasts[bin] < most ? c->lasts[bin] : most;
        room[bin] = high - low + 1 > 0 ? high - low + 1 : 0;
    }
    for (int i = 0; i < CANDIDATES; i++) {
        bins[i] = MIDDLE;
        if (!q->valid[i]) continue;
        double residual = q->candidates[i] - q->guess;
        int low = 0, high = BINS;
        while (high - low > 1) {
            int middle = (low + high) / 2;
            if (c->firsts[middle] <= residual) low = middle;
            else high = middle;
        }
        bins[i] = low;
        room[low] -= 1;
    }
}

/* Starts of alternatives by their weights: see `proportional` in web/src/mesh/network.js. */
static void proportional(double weights[ALTERNATIVES], const char present[ALTERNATIVES], int *starts) {
    int likely = -1, end = 0;
    double spare = TOTAL, sum = 0;
    for (int i = 0; i < ALTERNATIVES; i++) {
        if (!present[i]) continue;
        spare -= 1;
        if (likely < 0 || weights[i] > weights[likely]) likely = i;
    }
    weights[likely] += 1;
    for (int i = 0; i < ALTERNATIVES; i++) sum += weights[i];
    starts[0] = 0;
    for (int i = 0; i < ALTERNATIVES; i++) {
        end += (int)__builtin_floor(weights[i] * spare / sum) + present[i];
        starts[i + 1] = end;
    }
    for (int i = likely + 1; i <= ALTERNATIVES; i++) starts[i] += (int)TOTAL - end;
}

/* Starts of the alternatives of `count` coordinates, ALTERNATIVES + 1 for each; outputs of the network are
   `stride` apart. */
EXPORT(coordinate_starts)
void coordinate_starts(const struct curves *c, const int *outputs, int stride, const struct question *q, int count,
                       int *starts) {
    for (; count > 0; count--, outputs += stride, q++, starts += ALTERNATIVES + 1) {
        double mass[BINS], room[BINS], weights[ALTERNATIVES];
        char present[ALTERNATIVES];
        int bins[CANDIDATES];
        densities(c, outputs, q, mass);
        rooms(c, q, room, bins);
        for (int bin = 0; bin < BINS; bin++) {
            weights[bin] = __builtin_floor(mass[bin] * room[bin] * 16777216.0);
            present[bin] = room[bin] > 0;
        }
        for (int i = 0; i < CANDIDATES; i++) {
            double of_bump = q->valid[i] ? factor(c, outputs[BUMPS_AT + 3 + i]) : 0;
            weights[BINS + i] = q->valid[i] ? __builtin_floor(mass[bins[i]] * of_bump * 16777216.0) : 0;
            present[BINS + i] = q->valid[i] != 0;
        }
        proportional(weights, present, starts);
    }
}
