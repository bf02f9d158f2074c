/* y = x / r * weight, with r the root of the mean square of each row, as llm.c writes its layers. */
#include <math.h>
#include "probe.h"

#ifndef real
#define real float
#endif

void rms_norm_forward(real *out, real *rstd, const real *inp, const real *weight, int B, int T, int C) {
    for (int row = 0; row < B * T; row++) {
        const real *x = inp + row * C;
        real total = 0;
        for (int i = 0; i < C; i++) {
            total += x[i] * x[i];
        }
        rstd[row] = 1 / sqrt(total / C + (real)0.01);
    }
    PROBE("rstd", rstd, B * T);
    for (int i = 0; i < B * T * C; i++) {
        out[i] = inp[i] * rstd[i / C] * weight[i % C];
    }
}

void rms_norm_backward(real *dinp, real *dweight, const real *dout, const real *inp, const real *weight,
                       const real *rstd, int B, int T, int C) {
    real d_rstd[B * T];
    for (int row = 0; row < B * T; row++) {
        const real *x = inp + row * C, *d = dout + row * C;
        d_rstd[row] = 0;
        for (int i = 0; i < C; i++) {
            dweight[i] += d[i] * x[i] * rstd[row];
            d_rstd[row] += d[i] * weight[i] * x[i];
        }
    }
    PROBE("d_rstd", d_rstd, B * T);
    for (int row = 0; row < B * T; row++) {
        const real *x = inp + row * C, *d = dout + row * C, r = rstd[row];
        for (int i = 0; i < C; i++) {
            dinp[row * C + i] += d[i] * weight[i] * r - d_rstd[row] * r * r * r * x[i] / C;
        }
    }
}
