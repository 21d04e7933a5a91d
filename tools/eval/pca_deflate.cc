#include <zlib.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "kernels/coefficients.h"
#include "kernels/rope.h"
#include "packager/calibrate.h"
#include "packager/profile_object.h"
#include "tools/eval/bit_allocation.h"
#include "tools/eval/scheme.h"
#include "tools/eval/section_trip.h"

namespace kvcast::eval {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;
using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Side kSides[] = {Side::kKey, Side::kValue};
constexpr double kBudgets[] = {0.75, 1, 1.5, 2, 3};  // bits an element before DEFLATE

uint64_t deflated_bytes(const std::vector<unsigned char>& bytes) {
  if (bytes.empty()) return 0;
  uLongf size = compressBound(bytes.size());
  std::vector<unsigned char> to(size);
  compress2(to.data(), &size, bytes.data(), bytes.size(), Z_DEFAULT_COMPRESSION);
  return size;
}

class PcaDeflate final : public Scheme {
 public:
  explicit PcaDeflate(packager::CalibrateReport fit) : fit_(std::move(fit)) {
    shared_bytes_ = packager::write_profile_object(fit_.profile).size();
    for (const Side side : kSides) {
      const kernels::SectionCodec& codec = fit_.profile.section(0, side);
      const kernels::TransformBlock& block = codec.blocks.front();
      RowMatrix& basis = basis_[static_cast<size_t>(side)];
      basis.resize(block.rank, block.width);  // row i: coded position i
      for (Eigen::Index i = 0; i < basis.rows(); ++i) {
        const size_t row = codec.order[static_cast<size_t>(i)];
        for (Eigen::Index c = 0; c < basis.cols(); ++c) {
          basis(i, c) =
              kernels::bf16_to_f32(block.basis[row * block.width + static_cast<size_t>(c)]);
        }
      }
      variance_.insert(variance_.end(), fit_.sections[static_cast<size_t>(side)].variance.begin(),
                       fit_.sections[static_cast<size_t>(side)].variance.end());
    }
  }

  Status run(const Reference& reference, const Emit& emit) override {
    const auto tokens = static_cast<uint32_t>(reference.tokens.size());
    std::vector<float> coefficients[2];
    for (const Side side : kSides) {
      auto rows =
          kernels::section_coefficients(fit_.profile, 0, side, {0, tokens}, kernels::DType::kF32,
                                        views_of(reference.cache, fit_.profile.groups[0], side));
      if (!rows) return Error{ErrorKind::kCorrupt, rows.fault().what};
      coefficients[static_cast<size_t>(side)] = std::move(*rows);
    }
    for (const double budget : kBudgets) {
      const double elements = static_cast<double>(variance_.size());
      const std::vector<uint8_t> bits =
          allocate_bits(variance_, static_cast<uint64_t>(budget * elements));
      engine::KvCache candidate = reference.cache;
      uint64_t bytes = sink_bytes();
      size_t first = 0;
      for (const Side side : kSides) {
        RowMatrix y = Eigen::Map<const RowMatrix>(coefficients[static_cast<size_t>(side)].data(),
                                                  Eigen::Index(tokens - fit_.profile.sink_tokens),
                                                  basis_[size_t(side)].rows());
        bytes += quantise(y, std::span(bits).subspan(first, size_t(y.cols())),
                          std::span(variance_).subspan(first, size_t(y.cols())));
        first += size_t(y.cols());
        restore(y, side, candidate);
      }
      const Point point{"kvtc-style", std::to_string(budget).substr(0, 4) + " bits", bytes,
                        shared_bytes_};
      if (Status emitted = emit({&point, 1}, candidate); !emitted.ok()) return emitted;
    }
    return {};
  }

 private:
  uint64_t sink_bytes() const {
    return fit_.profile.sink_tokens * fit_.profile.geometry.bytes_per_token(kernels::DType::kBf16);
  }

  // Replaces coefficients by their reconstruction; answers the deflated bytes of the codes,
  // component by component: packed into bits or one a byte, whichever is smaller.
  static uint64_t quantise(RowMatrix& y, std::span<const uint8_t> bits,
                           std::span<const double> variance) {
    std::vector<unsigned char> packed, bytes;
    uint32_t buffer = 0, held = 0;
    for (Eigen::Index i = 0; i < y.cols(); ++i) {
      const uint32_t b = bits[size_t(i)];
      const auto step = static_cast<float>(gauss_step(b) * std::sqrt(variance[size_t(i)]));
      if (b == 0 || !(step > 0)) {
        y.col(i).setZero();
        continue;
      }
      const auto cells = static_cast<float>(1u << b);
      for (Eigen::Index t = 0; t < y.rows(); ++t) {
        const float cell = std::clamp(std::floor(y(t, i) / step + cells / 2), 0.0f, cells - 1);
        y(t, i) = (cell - cells / 2 + 0.5f) * step;
        const auto code = static_cast<uint32_t>(cell);
        bytes.push_back(static_cast<unsigned char>(code));
        buffer |= code << held;
        for (held += b; held >= 8; held -= 8, buffer >>= 8) {
          packed.push_back(static_cast<unsigned char>(buffer & 0xFF));
        }
      }
    }
    if (held > 0) packed.push_back(static_cast<unsigned char>(buffer));
    return std::min(deflated_bytes(packed), deflated_bytes(bytes));
  }

  void restore(const RowMatrix& y, Side side, engine::KvCache& to) const {
    const kernels::Profile& profile = fit_.profile;
    const kernels::SectionCodec& codec = profile.section(0, side);
    RowMatrix x = y * basis_[size_t(side)];
    const uint32_t channels = profile.geometry.channels(side), dim = profile.geometry.dim(side);
    for (Eigen::Index t = 0; t < x.rows(); ++t) {
      const uint64_t token = profile.sink_tokens + static_cast<uint64_t>(t);
      for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
        float* row = to.row(layer, side, token);
        for (uint32_t c = 0; c < channels; ++c) {
          const size_t at = size_t{layer} * channels + c;
          row[c] = x(t, Eigen::Index(at)) * codec.scale[at] + codec.mean[at];
        }
      }
    }
    if (side == Side::kValue || profile.ropes.empty()) return;
    const kernels::RopeTable table(profile.ropes[0], profile.sink_tokens,
                                   static_cast<uint32_t>(x.rows()));
    for (uint32_t t = 0; t < static_cast<uint32_t>(x.rows()); ++t) {
      for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
        float* row = to.row(layer, side, profile.sink_tokens + uint64_t{t});
        for (uint32_t c = 0; c < channels; c += dim) table.redo(t, {row + c, dim});
      }
    }
  }

  packager::CalibrateReport fit_;
  uint64_t shared_bytes_ = 0;
  RowMatrix basis_[2];            // [side]
  std::vector<double> variance_;  // of K's coefficients, then V's
};

}  // namespace

Result<std::unique_ptr<Scheme>> pca_deflate_scheme(const std::vector<std::string>& calibration) {
  packager::CalibrateParams params;
  params.inputs = calibration;
  params.scope = packager::TransformScope::kGroup;
  params.group_layers = 0;
  params.ladder = {0};
  params.step = 1;
  params.least_variance = 0;  // full rank: bits are allocated here
  auto fit = packager::calibrate(params);
  if (!fit.ok()) return fit.error();
  return std::unique_ptr<Scheme>(std::make_unique<PcaDeflate>(std::move(*fit)));
}

}  // namespace kvcast::eval
