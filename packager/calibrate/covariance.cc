#include "packager/calibrate/covariance.h"

#include <algorithm>

namespace kvcast::packager {

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Covariance::Covariance(size_t width, size_t block_width)
    : width_(width), block_width_(block_width), sum_(Eigen::VectorXd::Zero(Eigen::Index(width))) {
  for (size_t first = 0; first < width; first += block_width) {
    const auto n = Eigen::Index(std::min(block_width, width - first));
    products_.push_back(Eigen::MatrixXd::Zero(n, n));
  }
}

void Covariance::add(std::span<const float> rows) {
  const auto n = Eigen::Index(rows.size() / width_);
  if (n == 0) return;
  RowMatrix x = Eigen::Map<const RowMatrix>(rows.data(), n, Eigen::Index(width_));
  if (count_ == 0) origin_ = x.colwise().mean().transpose();
  x.rowwise() -= origin_.transpose();
  sum_ += x.cast<double>().colwise().sum().transpose();
  count_ += static_cast<double>(n);
  for (size_t b = 0; b < products_.size(); ++b) {
    const Eigen::Index size = products_[b].rows();
    const auto part = x.middleCols(Eigen::Index(first_channel(b)), size);
    Eigen::MatrixXf product = Eigen::MatrixXf::Zero(size, size);
    product.selfadjointView<Eigen::Lower>().rankUpdate(part.transpose());
    products_[b] += product.cast<double>();
  }
}

Eigen::VectorXd Covariance::mean() const {
  return origin_.cast<double>() + sum_ / count_;
}

Eigen::MatrixXd Covariance::of_block(size_t block) const {
  const Eigen::MatrixXd& products = products_[block];
  const Eigen::VectorXd mean =
      sum_.segment(Eigen::Index(first_channel(block)), products.rows()) / count_;
  Eigen::MatrixXd covariance = products.selfadjointView<Eigen::Lower>();
  covariance /= count_;
  covariance -= mean * mean.transpose();
  return covariance;
}

}  // namespace kvcast::packager
