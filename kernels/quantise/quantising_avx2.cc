#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::avx2 {

constexpr QuantisingKernels kQuantisingKernels{quantise,     move_values,  count_values,
                                               base_symbols, base_escapes, pass_symbols,
                                               energy,       squared_error};

}  // namespace kvcast::kernels::avx2
