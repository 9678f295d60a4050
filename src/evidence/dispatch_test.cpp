// Expert dispatch on GB200: the fits of the catalogue against every measured point, not only the published check figures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "base/text.hpp"
#include "fabric/collectives.hpp"
#include "traffic/lines.hpp"

namespace jevons::evidence {
namespace {

// 360 points of two-sided dispatch in bf16 and fp8, 2 to 64 ranks, 1 to 65,536 tokens a rank, width 7,168, top 8.
TEST(Dispatch, WithinSevenPercentOfTheMeasuredPoints) {
  const std::string path = JEVONS_SOURCE_DIR "/../shared/measured/ops/aiconfigurator_trtllm_alltoall.csv.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no measured operators at " << path;
  auto file = traffic::Lines::open(path);
  ASSERT_TRUE(file) << file.error().message();
  std::string_view line;
  ASSERT_TRUE(file->next(line));
  const auto header = csv_cells(line);
  const auto column = [&](std::string_view name) { return std::size_t(std::find(header.begin(), header.end(), name) - header.begin()); };
  const auto op = column("op_name"), kernel = column("kernel_source"), dtype = column("moe_dtype"), tokens = column("num_tokens"),
             ranks = column("moe_ep_size"), latency = column("latency");
  const auto catalog = catalog::Catalog::builtin();
  std::map<std::pair<std::string, int>, std::vector<double>> errors;
  std::size_t points = 0, inside = 0;
  while (file->next(line)) {
    const auto cells = csv_cells(line);
    if (cells[op] != "alltoall_dispatch" || cells[kernel] != "NVLinkTwoSided" || cells[dtype] == "nvfp4") continue;
    const int ep = std::stoi(cells[ranks]);
    const auto fit = fabric::measured_fit(catalog, "gb200-nvl72", "moe_dispatch", ep, cells[dtype]);
    ASSERT_TRUE(fit) << cells[dtype] << ep;
    const Bytes row{7168.0 * (cells[dtype] == "bfloat16" ? 2 : 1)};
    const double predicted = fabric::all_to_all_time(fit->alpha, fit->beta, std::stod(cells[tokens]), row, ep, 8).value();
    const double error = std::abs(predicted / (std::stod(cells[latency]) * 1e-3) - 1);
    errors[{cells[dtype], ep}].push_back(error);
    ++points;
    inside += error <= 0.07;
    EXPECT_LE(error, 0.14) << cells[dtype] << " EP" << ep << " " << cells[tokens] << " tokens";
  }
  EXPECT_EQ(points, 360u);
  EXPECT_GE(double(inside), 0.95 * double(points));
  for (auto& [which, e] : errors) {
    std::sort(e.begin(), e.end());
    EXPECT_LE(e[e.size() / 2], 0.05) << which.first << " EP" << which.second;
  }
}

}  // namespace
}  // namespace jevons::evidence
