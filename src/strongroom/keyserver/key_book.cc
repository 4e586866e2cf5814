#include "strongroom/keyserver/key_book.h"

#include <algorithm>

#include "strongroom/policy/policy.h"

namespace strongroom::keyserver {

Result<void> check_root_change(const v1::RootChange& change) {
  const auto invalid = [](const char* text) {
    return make_error(ErrorCode::kInvalidArgument, text);
  };
  if (change.key_file()) {
    if (change.holders_size() == 0 && change.threshold() == 0) return {};
    return invalid("A root key in a file has no holders and no threshold.");
  }
  if (change.holders_size() == 0 || change.holders_size() > kHoldersMax) {
    return invalid("Name 1 to 255 holders, each of whom takes a share.");
  }
  if (change.threshold() == 0 ||
      change.threshold() > static_cast<uint32_t>(change.holders_size())) {
    return invalid("The threshold is at least 1, and no more than there are holders.");
  }
  std::set<std::string> names;
  for (const std::string& name : change.holders()) {
    if (!policy::is_principal_name(name) || !names.insert(name).second) {
      return invalid("Each holder is another principal: one person takes one share.");
    }
  }
  return {};
}

bool RootChangeState::is_holder(const std::string& name) const {
  return std::ranges::find(change.holders(), name) != change.holders().end();
}

void KeyBook::tell(v1::StatusResponse& out) const {
  if (last_seal_) *out.mutable_last_seal() = *last_seal_;
  v1::RootView& root = *out.mutable_root();
  *root.mutable_holders() = root_.holders();
  root.set_since_ms(root_ms_);
  if (!change_) return;
  *root.mutable_change()->mutable_change() = change_->change;
  root.mutable_change()->set_leaf(change_->leaf);
  for (const std::string& name : change_->taken) root.mutable_change()->add_taken(name);
  for (const std::string& name : change_->confirmed) root.mutable_change()->add_confirmed(name);
}

bool KeyBook::apply(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  if (item.has_root()) return apply_root(item.root(), item.author(), leaf, t_ms);
  if (item.has_log_key()) return log_keys_.apply(item.log_key(), leaf, t_ms);
  if (!item.has_seal()) return false;
  last_seal_.emplace();
  last_seal_->set_author(item.author());
  last_seal_->set_t_ms(t_ms);
  last_seal_->set_reason(item.seal().reason());
  last_seal_->set_leaf(leaf);
  sealed_ = true;
  return true;
}

bool KeyBook::apply_root(const v1::RootItem& item, const std::string& author, uint64_t leaf,
                         uint64_t t_ms) {
  const bool changing = change_ && !change_->root_check.empty();
  switch (item.step()) {
    case v1::RootItem::BEGUN:
      if (changing || !check_root_change(item.change())) return false;
      change_.emplace();
      change_->change = item.change();
      change_->leaf = leaf;
      return true;
    case v1::RootItem::TAKEN:
      return change_ && !changing && change_->is_holder(author) &&
             change_->taken.insert(author).second;
    case v1::RootItem::CONFIRMED:
      return change_ && !changing && change_->taken.contains(author) &&
             change_->confirmed.insert(author).second;
    case v1::RootItem::CHANGING:
      if (!change_ || changing || !change_->all_confirmed() || item.root_check().empty()) {
        return false;
      }
      change_->root_check = item.root_check();
      return true;
    case v1::RootItem::CHANGED:
      if (!changing) return false;
      root_ = change_->change;
      root_leaf_ = leaf;
      root_ms_ = t_ms;
      root_check_ = change_->root_check;
      change_.reset();
      return true;
    case v1::RootItem::KEPT:
      if (!changing) return false;
      change_->root_check.clear();
      give_up_shares();
      if (change_->change.key_file()) change_.reset();  // Nobody is left to go on with it.
      return true;
    default:
      return false;
  }
}

void KeyBook::started() {
  sealed_ = false;
  give_up_shares();
}

void KeyBook::give_up_shares() {
  if (!change_ || !change_->root_check.empty()) return;
  change_->taken.clear();
  change_->confirmed.clear();
}

}  // namespace strongroom::keyserver
