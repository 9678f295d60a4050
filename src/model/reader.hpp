#pragma once
// Reads fields of a config.json with checks. The first error sticks and every later read returns a harmless value,
// so family code reads like a list; parse_config looks at the error once at the end.
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.hpp"

namespace jevons::model {

class Reader {
 public:
  /// config: the root object with text_config laid over it. family: for messages.
  Reader(const nlohmann::json& config, std::string_view file, std::string family, const Facts& facts);

  /// A size of at least 1 and at most `limit`. Absent or null: `fallback`, or an error when there is none.
  std::int64_t size(std::string_view key, std::optional<std::int64_t> fallback = {}, std::int64_t limit = 1 << 24);
  int count(std::string_view key, std::optional<std::int64_t> fallback = {}, std::int64_t limit = 1 << 16) {
    return int(size(key, fallback, limit));
  }
  /// The same, but 0 is allowed and means "none".
  std::int64_t size_or_zero(std::string_view key, std::int64_t fallback = 0, std::int64_t limit = 1 << 24);
  /// First of several names that is present and not null.
  std::int64_t size_of(std::initializer_list<std::string_view> keys, std::optional<std::int64_t> fallback = {},
                       std::int64_t limit = 1 << 24);
  bool flag(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::vector<std::int64_t> list(std::string_view key);  // absent: empty
  std::vector<std::string> words(std::string_view key);  // absent: empty
  bool has(std::string_view key) const;                  // present and not null
  bool absent(std::string_view key) const { return !config_->contains(key); }
  Reader inner(std::string_view key);  // a nested object; errors are shared by take_from
  void take_from(const Reader& other);

  void fail_at(std::string_view key, std::string what, std::string expected = {}, std::string hint = {});
  /// Refuses a switch this program does not account for, when it is on.
  void refuse(std::string_view key, bool on, std::string_view why);
  bool failed() const { return error_.has_value(); }
  const std::optional<Error>& error() const { return error_; }
  const Facts& facts() const { return *facts_; }
  const std::string& family() const { return family_; }
  const std::vector<std::string>& architectures() const { return architectures_; }

 private:
  const nlohmann::json* find(std::string_view key) const;
  const nlohmann::json* config_;
  std::string file_, family_;
  const Facts* facts_;
  std::vector<std::string> architectures_;
  std::optional<Error> error_;
};

using FamilyReader = void (*)(Reader&, Model&);
struct Family {
  std::string_view model_type;
  FamilyReader read;
};
std::span<const Family> dense_families();
std::span<const Family> moe_families();
std::span<const Family> mla_families();
std::span<const Family> hybrid_families();

// Shared by families.
/// hidden_size, vocab_size, tie_word_embeddings, max_position_embeddings.
void read_common(Reader& r, Model& m, bool tied_by_default = false);
int read_layers(Reader& r, std::optional<std::int64_t> fallback = {});
/// Heads, KV heads and head size; checks that they divide. kv_fallback 0: as many KV heads as heads.
Gqa read_gqa(Reader& r, const Model& m, std::optional<std::int64_t> heads = {}, std::int64_t kv_fallback = 0,
             std::optional<std::int64_t> dim = {});
/// Which layers a list of layer types calls full; names other than `full` and `other` are errors. Empty when the key is absent.
std::vector<bool> read_layer_types(Reader& r, int layers, std::string_view full, std::string_view other,
                                   std::string_view key = "layer_types");
/// Which layers are MoE: mlp_layer_types, first_k_dense_replace, moe_layer_freq as number or list.
std::vector<bool> read_moe_layers(Reader& r, int layers, std::int64_t first_dense_fallback);

}  // namespace jevons::model
