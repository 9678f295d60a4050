#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jevons {

/// Up to `count` candidates nearest to `word` by edit distance (case-insensitive), closest first, ties in the given order.
/// Candidates further than half the word's length are left out.
std::vector<std::string> nearest_names(std::string_view word, std::span<const std::string_view> candidates, std::size_t count = 3);

/// "did you mean a, b or c?" or "" when there is nothing near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

std::string lower(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);  // empty parts kept
/// Cells of one CSV line (RFC 4180 quotes; a quoted cell may not span lines).
std::vector<std::string> csv_cells(std::string_view line);
std::string_view trim(std::string_view text);

}  // namespace jevons
