// Mean and covariance of rows that arrive in pieces: fp32 products within a piece, fp64 sums over
// them, around the first piece's mean so that large means do not cancel.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <span>
#include <vector>

namespace kvcast::packager {

class Covariance {
 public:
  // Blocks of `block_width` channels by themselves; the last may be narrower.
  Covariance(size_t width, size_t block_width);

  void add(std::span<const float> rows);  // [n][width]

  size_t blocks() const { return products_.size(); }
  size_t first_channel(size_t block) const { return block * block_width_; }
  Eigen::VectorXd mean() const;
  Eigen::MatrixXd of_block(size_t block) const;

 private:
  size_t width_, block_width_;
  double count_ = 0;
  Eigen::VectorXf origin_;
  Eigen::VectorXd sum_;                    // of rows less origin
  std::vector<Eigen::MatrixXd> products_;  // lower triangles
};

}  // namespace kvcast::packager
