#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::scalar {

constexpr QuantisingKernels kQuantisingKernels{load_bf16_rows, quantise,     base_values,
                                               base_symbols,   base_escapes, pass_symbols,
                                               count_bytes,    energy,       squared_error};

}  // namespace kvcast::kernels::scalar
