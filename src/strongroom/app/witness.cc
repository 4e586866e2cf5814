// `strongroom witness`: an own process, best on another machine of another owner.
//
//   DIR/{lock, name, key, ca.pem, ca.key, logs/}
#include <signal.h>
#include <string.h>

#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/credential.h"
#include "strongroom/app/folder_lock.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/x509.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/rpc/text_server.h"
#include "strongroom/tlog/witness.h"

namespace strongroom::app {
namespace {

constexpr char kWitnessListen[] = "127.0.0.1:7430";
constexpr size_t kNameMax = 256;
constexpr size_t kPemMax = 64 << 10;
constexpr int64_t kWitnessAuthorityYears = 30;
constexpr int64_t kWitnessCertificateDays = 397;

struct WitnessOptions {
  std::string dir;
  std::string name;
  std::string listen = kWitnessListen;
  std::vector<std::string> logs;
  std::vector<std::string> key_changes;
};

std::string host_of(const std::string& listen) {
  std::string host = listen.substr(0, listen.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return host == "0.0.0.0" || host == "::" ? std::string() : host;
}

// What a witness is: a name, a key, an authority for its door. Made once, at its first start.
Result<void> found(const WitnessOptions& options) {
  auto& files = env::real_files();
  const std::string name = options.name.empty() ? "strongroom-witness" : options.name;
  if (name.size() > kNameMax || !tlog::is_note_text(name) || !tlog::is_key_name(name)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a witness's name may hold no spaces and no plus sign; the address under "
                      "which it can be asked is a good one, as witness.example/1");
  }
  const auto now_s = static_cast<int64_t>(env::real_clock().wall_ms() / 1000);
  SR_ASSIGN(const auto authority,
            crypto::make_authority("strongroom witness",
                                   {now_s - 3600, now_s + kWitnessAuthorityYears * 365 * 86400}));
  SR_TRY(files.write_atomic(options.dir + "/ca.pem", as_bytes(authority.certificate_pem), 0644));
  SR_TRY(files.write_atomic(options.dir + "/ca.key", authority.key_pem.read(SecretAccess{})));
  SR_TRY(save_key(options.dir + "/key", crypto::SigningKey::generate()));
  // Last: with it the witness is founded.
  return files.write_atomic(options.dir + "/name", as_bytes(name), 0644);
}

Result<rpc::TextServer::Options> door_of(const WitnessOptions& options) {
  auto& files = env::real_files();
  SR_ASSIGN(const std::string authority, files.read(options.dir + "/ca.pem", kPemMax));
  SR_ASSIGN(std::string key, files.read(options.dir + "/ca.key", kPemMax));
  const auto now_s = static_cast<int64_t>(env::real_clock().wall_ms() / 1000);
  std::vector<std::string> names;
  if (const std::string host = host_of(options.listen); !host.empty()) names.push_back(host);
  auto made = crypto::make_server_certificate(
      authority, as_bytes(key), names, {now_s - 3600, now_s + kWitnessCertificateDays * 86400});
  explicit_bzero(key.data(), key.size());
  if (!made) return made.error();
  rpc::TextServer::Options out;
  out.listen = options.listen;
  out.certificate_pem = made->certificate_pem;
  out.key_pem = std::string(as_text(made->key_pem.read(SecretAccess{})));
  out.request_bytes_max = tlog::kAddCheckpointBytesMax;
  return out;
}

rpc::TextReply answer(tlog::Witness& witness, const rpc::TextRequest& request) {
  constexpr std::string_view kAdd = "/add-checkpoint", kCheckpoint = "/checkpoint";
  tlog::WitnessReply reply{404, "text/plain; charset=utf-8", "There is nothing here.\n"};
  const std::string_view path = request.path;
  if (request.post && path == kAdd) {
    reply = witness.add_checkpoint(request.body);
  } else if (!request.post && path.starts_with('/') && path.ends_with(kCheckpoint) &&
             path.size() > kCheckpoint.size()) {
    reply = witness.checkpoint(path.substr(1, path.size() - 1 - kCheckpoint.size()));
  }
  return {reply.status, std::move(reply.content_type), std::move(reply.body)};
}

Result<void> run(const Global& global, const WitnessOptions& options) {
  auto& files = env::real_files();
  SR_TRY(env::harden_process());
  SR_TRY(files.make_dirs(options.dir));
  SR_TRY(lock_folder(options.dir + "/lock",
                     "another `strongroom witness` is running on this folder; end that one first"));
  SR_ASSIGN(const bool founded, files.exists(options.dir + "/name"));
  if (!founded) SR_TRY(found(options));
  SR_ASSIGN(const std::string name, files.read(options.dir + "/name", kNameMax));
  if (!options.name.empty() && options.name != name) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "this witness has another name, and others know it by that; a new name needs "
                      "a new folder");
  }
  SR_ASSIGN(auto key, load_key(options.dir + "/key"));
  const tlog::NoteKey note_key{name, tlog::NoteKeyType::kCosignature, key.public_key()};
  SR_ASSIGN(const auto witness,
            tlog::Witness::open(options.dir, {name, std::move(key)}, files, env::real_clock()));
  for (const std::string& text : options.logs) {
    SR_ASSIGN(const auto log, tlog::parse_note_key(text));
    SR_TRY(witness->add_log(log));
  }
  for (const std::string& file : options.key_changes) {
    SR_ASSIGN(const std::string changes, files.read(file, tlog::kKeyChangesBytesMax));
    SR_TRY(witness->follow_keys(changes));
  }

  rpc::EventLoop loop;
  SR_ASSIGN(auto door, door_of(options));
  SR_ASSIGN(const auto server,
            rpc::TextServer::start(loop, std::move(door), [&](const rpc::TextRequest& request) {
              return answer(*witness, request);
            }));
  const std::string at =
      options.listen.substr(0, options.listen.rfind(':')) + ":" + std::to_string(server->port());
  SR_TRY(env::enter_sandbox({{options.dir}, {}}));
  loop.on_signals({SIGTERM, SIGINT}, [&] { loop.stop(); });
  if (global.json) {
    std::cout << "{\"witness\":" << json_string(note_key.text())
              << ",\"url\":" << json_string("https://" + at)
              << ",\"ca\":" << json_string(options.dir + "/ca.pem") << ",\"logs\":[";
    const auto logs = witness->logs();
    for (size_t i = 0; i < logs.size(); ++i) {
      std::cout << (i == 0 ? "" : ",") << json_string(logs[i].text());
    }
    std::cout << "]}" << std::endl;
  } else {
    std::cerr << "strongroom " << kVersion << " witnesses " << witness->logs().size()
              << " logs at https://" << at << "\n"
              << "  its key        " << note_key.text() << "\n"
              << "  its authority  " << options.dir << "/ca.pem\n";
    for (const auto& log : witness->logs()) {
      std::cerr << "  log            " << log.name << ", cosigned up to "
                << format_count(witness->size_of(log.name)) << " entries\n";
    }
    std::cerr << "Ctrl-C ends it." << std::endl;
  }
  loop.run();
  return {};
}

}  // namespace

void add_witness(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<WitnessOptions>();
  auto* command = app.add_subcommand(
      "witness", "Watch that release logs only grow, and say so with a signature (tlog-witness)");
  command->add_option("DIR", options->dir, "What it remembers; made at its first start")
      ->required();
  command->add_option("--name", options->name, "Its name in signatures, chosen once");
  command->add_option("--listen", options->listen,
                      std::string("HOST:PORT (") + kWitnessListen + ")");
  command
      ->add_option("--log", options->logs,
                   "A log to watch from now on: its verifier key, as `log checkpoint` prints it")
      ->take_all();
  command
      ->add_option("--key-changes", options->key_changes,
                   "Where the key of a log was changed: the file that `log key show -o` writes")
      ->take_all();
  command->footer(
      "It belongs on another machine, of somebody whom those who keep the vault cannot order "
      "about.\n"
      "Example:\n  strongroom witness /srv/witness --name witness.example/1 --listen 0.0.0.0:7430 "
      "--log strongroom.local/5e1f...+a1b2c3d4+AQ...");
  command->callback([&global, &status, options] {
    if (const auto done = run(global, *options); !done)
      status = fail(global, done.error(), options->dir);
  });
}

}  // namespace strongroom::app
