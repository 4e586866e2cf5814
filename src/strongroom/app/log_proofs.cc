#include "strongroom/app/log_proofs.h"

#include <fstream>
#include <iostream>
#include <memory>

#include "strongroom/env/files.h"
#include "strongroom/gateway/request.h"
#include "strongroom/tlog/opening.h"
#include "strongroom/tlog/proof.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::app {
namespace {

Result<std::string> read_entry(const tlog::TileReader& read, uint64_t leaf, uint64_t size) {
  constexpr size_t kLine = 2 + tlog::kEntrySize;
  const uint64_t bundle = leaf / tlog::kTileWidth;
  const auto width =
      static_cast<uint32_t>(std::min<uint64_t>(size - bundle * tlog::kTileWidth, tlog::kTileWidth));
  SR_ASSIGN(const std::string bytes,
            tlog::read_tile(read, {tlog::kBundle, bundle, width}, width * kLine));
  if (bytes.size() != width * kLine) {
    return make_error(ErrorCode::kDataLoss,
                      "the log's bundle has the wrong size; `log verify` says where it is damaged");
  }
  return bytes.substr(leaf % tlog::kTileWidth * kLine + 2, tlog::kEntrySize);
}

Result<void> prove(const Global& global, uint64_t leaf, const std::string& output) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  const tlog::TileReader read = log_tiles(*admin);
  tlog::LogProof proof;
  proof.leaf = leaf;
  SR_ASSIGN(auto notes, (admin->call<v1::LogCheckpointRequest, v1::LogCheckpointResponse>(
                            "LogCheckpoint", {})));
  proof.note = notes.note();
  SR_ASSIGN(const tlog::LogKeys keys, admin->log_keys());
  SR_ASSIGN(auto checkpoint, tlog::verify_checkpoint(proof.note, keys));
  // Better one that witnesses have cosigned, if it has the entry.
  if (!notes.cosigned().empty()) {
    SR_ASSIGN(auto cosigned, tlog::verify_checkpoint(notes.cosigned(), keys));
    if (leaf < cosigned.size) {
      proof.note = notes.cosigned();
      checkpoint = std::move(cosigned);
    }
  }
  if (leaf >= checkpoint.size) {
    return make_error(ErrorCode::kNotFound,
                      "no checkpoint has that entry yet (the number is how many it has); a new one "
                      "comes each second",
                      static_cast<int64_t>(checkpoint.size));
  }
  SR_ASSIGN(proof.extra, read_entry(read, leaf, checkpoint.size));
  SR_ASSIGN(proof.path, tlog::prove_inclusion(read, leaf, checkpoint.size));
  // What goes out is what somebody else will check.
  SR_TRY(tlog::verify_proof(proof, tlog::leaf_hash(as_bytes(proof.extra)), keys, {}));
  const std::string text = tlog::format_proof(proof);
  if (output.empty()) {
    if (global.json) {
      std::cout << "{\"leaf\":" << leaf << ",\"proof\":" << json_string(text) << "}\n";
    } else {
      std::cout << text;
    }
    return {};
  }
  SR_TRY(env::real_files().write_atomic(output, as_bytes(text), 0644));
  if (global.json) {
    std::cout << "{\"leaf\":" << leaf << ",\"file\":" << json_string(output) << "}\n";
  } else {
    std::cerr << output << " proves entry " << format_count(leaf) << " of "
              << format_count(checkpoint.size) << "\n";
  }
  return {};
}

// Which records an erasure's proof shows; of any other proof, none.
Result<std::vector<v1::ErasureItem>> erased_records(Bytes opening, const tlog::EntryHead& entry) {
  std::vector<v1::ErasureItem> out;
  if (opening.empty()) return out;
  SR_ASSIGN(const auto shown, tlog::check_opening(opening, entry));
  for (const auto& [place, bytes] : shown) {
    v1::LogItem item;
    if (item.ParseFromString(bytes) && item.has_erasure() &&
        entry.type == static_cast<uint8_t>(tlog::EntryType::kErasure)) {
      out.push_back(item.erasure());
    }
  }
  return out;
}

Result<void> check(const Global& global, const std::string& file, const OfflineLog& offline,
                   const std::vector<std::string>& witness_texts) {
  SR_ASSIGN(const tlog::LogKeys log, log_keys_of(global, offline));
  std::vector<tlog::NoteKey> witnesses;
  for (const std::string& text : witness_texts) {
    SR_ASSIGN(auto witness, tlog::parse_note_key(text));
    witnesses.push_back(std::move(witness));
  }
  SR_ASSIGN(const std::string text, env::real_files().read(file, tlog::kProofBytesMax));
  SR_ASSIGN(const auto proof, tlog::parse_proof(text));
  // Behind the entry, what is shown of its items.
  const Bytes extra = as_bytes(proof.extra);
  const Bytes entry_bytes = extra.first(std::min(extra.size(), tlog::kEntrySize));
  const auto entry = tlog::parse_entry(entry_bytes);
  if (!entry) {
    return make_error(ErrorCode::kDataLoss,
                      "the proof does not bring an entry of a strongroom log in its extra line");
  }
  SR_ASSIGN(const auto proven,
            tlog::verify_proof(proof, tlog::leaf_hash(entry_bytes), log, witnesses));
  SR_ASSIGN(const auto erased, erased_records(extra.subspan(entry_bytes.size()), *entry));
  if (proven.witnesses < witnesses.size()) {
    return make_error(ErrorCode::kDataLoss,
                      "the entry is in the log, but not every witness named cosigned this "
                      "checkpoint (the number is how many did); prove it again later",
                      static_cast<int64_t>(proven.witnesses));
  }
  const char* type = tlog::entry_type_name(static_cast<tlog::EntryType>(entry->type));
  if (global.json) {
    std::cout << "{\"proven\":true,\"leaf\":" << proof.leaf << ",\"type\":" << json_string(type)
              << ",\"t_ms\":" << entry->t_ms << ",\"items\":" << entry->n
              << ",\"size\":" << proven.checkpoint.size << ",\"witnesses\":" << proven.witnesses
              << ",\"erased\":[";
    for (size_t i = 0; i < erased.size(); ++i) {
      std::cout << (i == 0 ? "" : ",") << "{\"collection\":" << erased[i].collection()
                << ",\"id\":" << json_string(gateway::record_id(RecordIndex{erased[i].idx()}))
                << "}";
    }
    std::cout << "]}\n";
    return {};
  }
  std::cout << "proven: entry " << format_count(proof.leaf) << " of "
            << format_count(proven.checkpoint.size)
            << (type[0] == 'a' || type[0] == 'e' ? " is an " : " is a ") << type << " of "
            << format_time(entry->t_ms) << " with " << format_count(entry->n) << " items\n";
  for (const v1::ErasureItem& record : erased) {
    std::cout << "  erased: record " << gateway::record_id(RecordIndex{record.idx()})
              << " of collection " << record.collection() << "\n";
  }
  if (proven.witnesses > 0) {
    std::cout << "  cosigned by " << proven.witnesses << " witnesses, the earliest at "
              << format_time(proven.witnessed_from_s * 1000) << "\n";
  }
  return {};
}

}  // namespace

void add_offline_log(CLI::App& command, OfflineLog& log) {
  command.add_option("--log", log.key,
                     "The log's verifier key; else that of your credential's vault");
  command.add_option("--key-changes", log.changes,
                     "Where the log's key was changed: the file that `log key show -o` writes");
}

Result<tlog::LogKeys> log_keys_of(const Global& global, const OfflineLog& log) {
  tlog::NoteKey pinned;
  if (log.key.empty()) {
    SR_ASSIGN(const auto credential, load_credential(global.credential));
    pinned = log_key_of(credential);
  } else {
    SR_ASSIGN(pinned, tlog::parse_note_key(log.key));
  }
  if (log.changes.empty()) return tlog::LogKeys(std::move(pinned));
  SR_ASSIGN(const std::string changes,
            env::real_files().read(log.changes, tlog::kKeyChangesBytesMax));
  return tlog::LogKeys::follow(pinned, changes);
}

tlog::TileReader log_tiles(AdminClient& admin) {
  return [&admin](std::string_view path) -> Result<std::string> {
    if (path == tlog::kKeyChangesFile) {
      v1::LogKeysResponse keys;
      SR_TRY(admin.log_keys(&keys));
      return std::move(*keys.mutable_changes());
    }
    if (path == "checkpoint") {
      SR_ASSIGN(auto note, (admin.call<v1::LogCheckpointRequest, v1::LogCheckpointResponse>(
                               "LogCheckpoint", {})));
      return std::move(*note.mutable_note());
    }
    v1::LogTileRequest request;
    request.set_path(std::string(path));
    SR_ASSIGN(auto tile, (admin.call<v1::LogTileRequest, v1::LogTileResponse>("LogTile", request)));
    return std::move(*tile.mutable_data());
  };
}

Result<void> verify_erasure_proof(const tlog::LogKeys& log, const std::string& text,
                                  uint32_t collection, std::span<const RecordIndex> records) {
  SR_ASSIGN(const auto proof, tlog::parse_proof(text));
  const Bytes extra = as_bytes(proof.extra);
  const Bytes entry_bytes = extra.first(std::min(extra.size(), tlog::kEntrySize));
  const auto entry = tlog::parse_entry(entry_bytes);
  const auto other = make_error(ErrorCode::kDataLoss,
                                "the key server's proof is not about the records that were to be "
                                "erased; tell the security officer");
  if (!entry) return other;
  SR_TRY(tlog::verify_proof(proof, tlog::leaf_hash(entry_bytes), log, {}));
  SR_ASSIGN(const auto erased, erased_records(extra.subspan(entry_bytes.size()), *entry));
  const bool same = std::equal(erased.begin(), erased.end(), records.begin(), records.end(),
                               [&](const v1::ErasureItem& item, RecordIndex idx) {
                                 return item.collection() == collection && item.idx() == idx.value;
                               });
  return same ? Result<void>() : other;
}

void add_log_proofs(CLI::App& log, Global& global, int& status) {
  auto leaf = std::make_shared<uint64_t>(0);
  auto output = std::make_shared<std::string>();
  auto* prove_command = log.add_subcommand(
      "prove", "That an entry is in the log, as a C2SP tlog-proof that anyone can check offline");
  prove_command->add_option("LEAF", *leaf, "Its number, as `log tail` shows it")->required();
  prove_command->add_option("-o,--output", *output, "A file; else standard output");
  prove_command->footer(
      "Example:\n  strongroom log prove 70412 -o release.tlog-proof --credential auditor.json");
  prove_command->callback([&global, &status, leaf, output] {
    if (const auto done = prove(global, *leaf, *output); !done) status = fail(global, done.error());
  });
  auto file = std::make_shared<std::string>();
  auto offline = std::make_shared<OfflineLog>();
  auto witnesses = std::make_shared<std::vector<std::string>>();
  auto* check_command =
      log.add_subcommand("check", "Check such a proof, offline; needs no vault and no network");
  check_command->add_option("FILE", *file, "The proof")->required();
  add_offline_log(*check_command, *offline);
  check_command
      ->add_option("--witness", *witnesses, "A witness's verifier key that must have cosigned")
      ->take_all();
  check_command->footer(
      "Example:\n  strongroom log check release.tlog-proof --log "
      "strongroom.local/5e1f...+a1b2c3d4+AQ...");
  check_command->callback([&global, &status, file, offline, witnesses] {
    if (const auto done = check(global, *file, *offline, *witnesses); !done)
      status = fail(global, done.error(), *file);
  });
}

}  // namespace strongroom::app
