#include "kernels/transform/inverse_onednn.h"

namespace kvcast::kernels::onednn {

const Products* products() {
  return nullptr;
}

}  // namespace kvcast::kernels::onednn
