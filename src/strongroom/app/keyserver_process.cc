#include <signal.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "strongroom/app/processes.h"
#include "strongroom/app/tpm_hardware.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/rpc/codec.h"
#include "strongroom/rpc/connect_server.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::app {
namespace {

using keyserver::KeyServer;

constexpr std::chrono::milliseconds kReplyTime{200};

// The key server behind its two doors: the gateways' socket and its own listener. Sealed until the
// root key is there.
class KeyServerProcess {
 public:
  KeyServerProcess(const Global& global, const ProcessOptions& options)
      : global_(global), ready_fd_(options.ready_fd), listen_(options.listen), dir_(options.dir) {
    auto credentials = read_credentials(options.credential_fd);
    std::optional<ByteArray<32>>* const hashes[] = {&compactor_credential_, &sender_credential_,
                                                    &courier_credential_};
    for (size_t i = 0; i < credentials.size() && i < std::size(hashes); ++i) {
      *hashes[i] = crypto::sha256(as_bytes(credentials[i]));
      explicit_bzero(credentials[i].data(), credentials[i].size());
    }
  }

  Result<void> start();
  int run();

 private:
  Result<void> open(const SealingKey& root, bool unattended = false);
  Result<v1::UnsealResponse> unseal(const v1::UnsealRequest& request);
  v1::ReplyBatch handle(v1::CallBatch&& batch);
  void register_calls();
  void register_share_calls();
  template <class Req, class Resp>
  void admin(const char* method, Result<Resp> (KeyServer::*call)(const std::string&, const Req&));
  template <class Req, class Resp>
  void admin(const char* method,
             Result<Resp> (KeyServer::*call)(const std::string&, const Req&) const);
  template <class Req, class Resp, class Call>
  void add(const char* method, Call call);
  void stop_if_failed();
  void stop_if_sealed();

  const Global& global_;
  int ready_fd_;
  std::string listen_;
  VaultDir dir_;
  std::string folder_;  // dir_, absolute.
  rpc::EventLoop loop_;
  v1::VaultFile vault_;
  std::optional<ByteArray<32>> compactor_credential_, sender_credential_,
      courier_credential_;  // Their hashes.
  bool locked_ = false;
  std::unique_ptr<TpmHardware> hardware_;
  std::unique_ptr<KeyServer> server_;
  std::vector<crypto::Share> shares_;
  std::unique_ptr<rpc::ConnectServer> door_;
  std::unique_ptr<rpc::KeyServiceListener> gateways_;
  int status_ = kDone;
};

Result<void> KeyServerProcess::start() {
  auto& files = env::real_files();
  SR_TRY(env::harden_process());
  locked_ = env::lock_memory();
  SR_ASSIGN(vault_, keyserver::load_vault_file(files, dir_.keyserver()));
  std::error_code unknown;  // Then whoever backs it up is told nothing, and must say it.
  folder_ = std::filesystem::canonical(dir_.root, unknown).string();
  rpc::ConnectServer::Options door;
  door.listen = listen_;
  SR_ASSIGN(door.certificate_pem, files.read(dir_.run() + "/keyserver.pem", kPemBytesMax));
  SR_ASSIGN(door.key_pem, files.read(dir_.run() + "/keyserver.key", kPemBytesMax));
  SR_TRY(files.remove(dir_.run() + "/keyserver.key"));
  door.request_bytes_max = size_t{2} << 20;
  door.connections_max = 256;
  SR_ASSIGN(door_, rpc::ConnectServer::start(loop_, std::move(door)));
  register_calls();
  SR_ASSIGN(gateways_,
            rpc::KeyServiceListener::listen(loop_, dir_.socket(), [this](v1::CallBatch&& batch) {
              return handle(std::move(batch));
            }));
  if (vault_.has_tpm()) {
    auto hardware = TpmHardware::open(vault_.tpm());
    if (!hardware && vault_.tpm().epochs()) return hardware.error();
    if (hardware) hardware_ = std::move(*hardware);
  }
  // From here on: these folders, these sockets, and nothing else.
  SR_TRY(env::enter_sandbox({{dir_.keyserver(), dir_.mirror(), dir_.run()}, {}}));
  if (vault_.dev()) {
    SR_ASSIGN(const SealingKey root, keyserver::find_dev_root(files, dir_.keyserver(), vault_));
    SR_TRY(open(root));
  } else if (hardware_ != nullptr && vault_.sealed_by().empty()) {
    // One that was sealed on command is opened by people; the log knows, too.
    const auto root = hardware_->unseal_root(vault_.tpm());
    if (!root || !keyserver::is_root_of(vault_, *root)) {
      std::cerr << "strongroom: the TPM does not open this vault; shares do\n";
    } else if (const auto opened = open(*root, true);
               !opened && opened.error().code != ErrorCode::kFailedPrecondition) {
      return opened;
    } else if (!opened) {
      std::cerr << "strongroom: " << opened.error().text << "\n";
    }
  } else if (vault_.has_tpm() && hardware_ == nullptr) {
    std::cerr << "strongroom: the TPM does not answer; shares open the vault\n";
  }
  loop_.on_signals({SIGTERM, SIGINT}, [this] { loop_.stop(); });
  loop_.every(std::chrono::milliseconds(1000), [this] {
    if (server_ == nullptr) return;
    if (const auto ticked = server_->tick(); !ticked) {
      status_ = fail(global_, ticked.error(), "key server");
      loop_.stop();
    }
    stop_if_failed();
  });
  report_ready(ready_fd_, door_->port());
  return {};
}

int KeyServerProcess::run() {
  loop_.run();
  // A last checkpoint, so that nothing behind it could be cut off unseen.
  if (server_ != nullptr && !server_->failed()) {
    if (const auto ticked = server_->tick(); !ticked)
      status_ = fail(global_, ticked.error(), "key server");
  }
  return status_;
}

Result<void> KeyServerProcess::open(const SealingKey& root, bool unattended) {
  SR_ASSIGN(auto server,
            KeyServer::open({dir_.keyserver(), dir_.mirror(), kVersion, compactor_credential_,
                             sender_credential_, courier_credential_, hardware_.get(), unattended,
                             keyserver::kCountersEvery, folder_},
                            root, env::real_files(), env::real_clock()));
  server_ = std::move(server);
  return {};
}

Result<v1::UnsealResponse> KeyServerProcess::unseal(const v1::UnsealRequest& request) {
  v1::UnsealResponse response;
  response.set_shares_needed(vault_.threshold());
  if (server_ != nullptr) return response;
  SR_ASSIGN(crypto::Share share, crypto::parse_share(request.share()));
  SR_TRY(keyserver::check_share(vault_, share));
  for (const auto& held : shares_) {
    if (held.x == share.x) return keyserver::kShareGivenAlready;
  }
  shares_.push_back(std::move(share));
  response.set_shares_given(static_cast<uint32_t>(shares_.size()));
  response.set_sealed(true);
  if (shares_.size() < vault_.threshold()) return response;
  auto root = crypto::combine_shares(shares_);
  shares_.clear();
  if (!root) return keyserver::kSharesDoNotOpen;
  const SealingKey key(root->read(SecretAccess{}));
  if (!keyserver::is_root_of(vault_, key)) return keyserver::kSharesDoNotOpen;
  if (const auto opened = open(key); !opened) {
    fail(global_, opened.error(), "key server");
    return keyserver::kOpeningFailed;
  }
  response.set_sealed(false);
  return response;
}

v1::ReplyBatch KeyServerProcess::handle(v1::CallBatch&& batch) {
  if (server_ != nullptr) {
    // The door is looked at before the keys leave: a freeze that came during the sync holds.
    auto replies = server_->handle(std::move(batch), [this] { loop_.run_ready(); });
    stop_if_failed();
    return replies;
  }
  v1::ReplyBatch replies;
  const Error& error = keyserver::kSealed;
  for (int i = 0; i < batch.calls_size(); ++i) {
    auto& out = *replies.add_replies()->mutable_error();
    out.set_code(static_cast<uint32_t>(error.code));
    out.set_text(error.text);
    out.set_number(error.number);
    out.set_retry_after_ms(error.retry_after_ms);
  }
  return replies;
}

void KeyServerProcess::stop_if_failed() {
  if (!server_->failed()) return;
  status_ =
      fail(global_,
           make_error(
               ErrorCode::kLogUnavailable,
               "the release log or the key state could not be written, so nothing leaves any more. "
               "Free the disk or replace it, then start again; what was acknowledged is safe"),
           "key server");
  loop_.stop();
}

// Ends the process, and with it all that was in its memory. The reply goes out first.
void KeyServerProcess::stop_if_sealed() {
  if (server_ == nullptr || !server_->sealed() || status_ != kDone) return;
  status_ = kSealedOnCommand;
  loop_.after(kReplyTime, [this] { loop_.stop(); });
}

template <class Req, class Resp, class Call>
void KeyServerProcess::add(const char* method, Call call) {
  door_->unary<Req, Resp>(std::string("/strongroom.v1.AdminService/") + method,
                          [this, call](const rpc::CallContext& context, Req request,
                                       std::function<void(Result<Resp>)> respond) {
                            if (server_ == nullptr) return respond(keyserver::kSealed);
                            auto who = server_->authenticate(
                                context.path, as_bytes(context.body_sha256), context.authorization);
                            if (!who) server_->note_refused_call({}, who.error());
                            if (!who) return respond(who.error());
                            if constexpr (requires { request.set_from(context.from); }) {
                              request.set_from(context.from);
                            }
                            auto answer = (server_.get()->*call)(*who, request);
                            if (!answer) server_->note_refused_call(*who, answer.error());
                            respond(std::move(answer));
                            stop_if_failed();
                            stop_if_sealed();
                          });
}
template <class Req, class Resp>
void KeyServerProcess::admin(const char* method,
                             Result<Resp> (KeyServer::*call)(const std::string&, const Req&)) {
  add<Req, Resp>(method, call);
}
template <class Req, class Resp>
void KeyServerProcess::admin(const char* method,
                             Result<Resp> (KeyServer::*call)(const std::string&, const Req&)
                                 const) {
  add<Req, Resp>(method, call);
}

void KeyServerProcess::register_calls() {
  admin("ApplyCollection", &KeyServer::apply_collection);
  admin("ListCollections", &KeyServer::list_collections);
  admin("ApplyPolicy", &KeyServer::apply_policy);
  admin("ShowPolicy", &KeyServer::show_policy);
  admin("AddPrincipal", &KeyServer::add_principal);
  admin("ListPrincipals", &KeyServer::list_principals);
  admin("DisablePrincipal", &KeyServer::disable_principal);
  admin("RekeyPrincipal", &KeyServer::rekey_principal);
  admin("Freeze", &KeyServer::freeze);
  admin("Thaw", &KeyServer::thaw);
  admin("Seal", &KeyServer::seal);
  admin("ChangeRoot", &KeyServer::change_root);
  admin("PlaceHold", &KeyServer::place_hold);
  admin("LiftHold", &KeyServer::lift_hold);
  admin("ListHolds", &KeyServer::list_holds);
  admin("RequestDestruction", &KeyServer::request_destruction);
  admin("ListDestructions", &KeyServer::list_destructions);
  admin("CancelDestruction", &KeyServer::cancel_destruction);
  admin("RequestExport", &KeyServer::request_export);
  admin("ListRequests", &KeyServer::list_requests);
  admin("SignRequest", &KeyServer::sign_request);
  admin("WithdrawRequest", &KeyServer::withdraw_request);
  admin("Me", &KeyServer::me);
  admin("ReviewAccess", &KeyServer::review_access);
  admin("ListEmergencies", &KeyServer::list_emergencies);
  admin("ReviewEmergencies", &KeyServer::review_emergencies);
  admin("ReportSubject", &KeyServer::report_subject);
  admin("RenewTerms", &KeyServer::renew_terms);
  admin("ProveReport", &KeyServer::prove_report_witnessed);
  admin("LiftEmbargo", &KeyServer::lift_embargo);
  admin("LogKeys", &KeyServer::log_keys);
  admin("ChangeLogKey", &KeyServer::change_log_key);
  admin("FinishLogKey", &KeyServer::finish_log_key);
  admin("LogCheckpoint", &KeyServer::log_checkpoint);
  admin("LogTile", &KeyServer::log_tile);
  admin("LogEntries", &KeyServer::log_entries);
  admin("ProveErasure", &KeyServer::prove_erasure);
  admin("ListAlarms", &KeyServer::list_alarms);
  admin("Backup", &KeyServer::backup);
  admin("PlantCanaries", &KeyServer::plant_canaries);
  admin("TestCanaries", &KeyServer::test_canaries);
  register_share_calls();
  door_->unary<v1::UnsealRequest, v1::UnsealResponse>(
      "/strongroom.v1.AdminService/Unseal",
      [this](const rpc::CallContext&, v1::UnsealRequest request,
             const std::function<void(Result<v1::UnsealResponse>)>& respond) {
        respond(unseal(request));
        explicit_bzero(request.mutable_share()->data(), request.share().size());
      });
  door_->unary<v1::StatusRequest, v1::StatusResponse>(
      "/strongroom.v1.AdminService/Status",
      [this](const rpc::CallContext& context, const v1::StatusRequest& request,
             const std::function<void(Result<v1::StatusResponse>)>& respond) {
        v1::StatusResponse response;
        if (server_ ==
            nullptr) {  // All that can be said, and to anyone: who may ask is sealed too.
          response.set_version(kVersion);
          response.set_name(vault_.name());
          response.set_sealed(true);
          response.set_shares_given(static_cast<uint32_t>(shares_.size()));
          response.set_shares_needed(vault_.threshold());
          if (!vault_.sealed_by().empty()) {
            response.mutable_last_seal()->set_author(vault_.sealed_by());
            response.mutable_last_seal()->set_t_ms(vault_.sealed_ms());
          }
          return respond(std::move(response));
        }
        auto who = server_->authenticate(context.path, as_bytes(context.body_sha256),
                                         context.authorization);
        if (!who) server_->note_refused_call({}, who.error());
        if (!who) return respond(who.error());
        auto status = server_->status(*who, request);
        if (!status) server_->note_refused_call(*who, status.error());
        if (!status) return respond(status.error());
        status->set_memory_locked(locked_);
        status->set_seccomp(true);  // enter_sandbox() is all or nothing.
        status->set_landlock(true);
        status->set_resident_bytes(env::resident_bytes());
        if (!locked_) {
          status->add_warnings(
              "memory is not locked: raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity), or switch swap "
              "off");
        }
        respond(std::move(*status));
      });
  door_->set_reply_signer([this](const rpc::CallContext& context, const rpc::ReplyContent& reply) {
    if (server_ == nullptr) return std::string();
    return server_->sign_reply(
        {context.json, context.path, context.authorization, as_bytes(context.body_sha256)},
        {reply.http_status, reply.code, reply.number, reply.retry_after_ms, reply.body});
  });
}

// As the others, but that no message with a share stays behind in memory.
void KeyServerProcess::register_share_calls() {
  door_->raw("/strongroom.v1.AdminService/TakeShare",
             [this](const rpc::CallContext& context, std::string_view body,
                    const rpc::RespondBytes& respond) {
               auto taken = [&]() -> Result<std::string> {
                 if (server_ == nullptr) return keyserver::kSealed;
                 v1::TakeShareRequest request;
                 SR_TRY(rpc::decode_message(context.json, body, request));
                 SR_ASSIGN(const std::string who,
                           server_->authenticate(context.path, as_bytes(context.body_sha256),
                                                 context.authorization));
                 SR_ASSIGN(v1::TakeShareResponse response, server_->take_share(who, request));
                 auto encoded = rpc::encode_message(context.json, response);
                 rpc::wipe(*response.mutable_share());
                 return encoded;
               }();
               respond(std::move(taken), {});
               if (server_ != nullptr) stop_if_failed();
             });
  door_->unary<v1::ConfirmShareRequest, v1::ConfirmShareResponse>(
      "/strongroom.v1.AdminService/ConfirmShare",
      [this](const rpc::CallContext& context, v1::ConfirmShareRequest request,
             const std::function<void(Result<v1::ConfirmShareResponse>)>& respond) {
        const auto confirmed = [&]() -> Result<v1::ConfirmShareResponse> {
          if (server_ == nullptr) return keyserver::kSealed;
          SR_ASSIGN(const std::string who,
                    server_->authenticate(context.path, as_bytes(context.body_sha256),
                                          context.authorization));
          return server_->confirm_share(who, request);
        }();
        rpc::wipe(*request.mutable_share());
        respond(confirmed);
        if (server_ != nullptr) stop_if_failed();
      });
}

}  // namespace

int run_keyserver(const Global& global, const ProcessOptions& options) {
  crypto::init();
  KeyServerProcess process(global, options);
  if (const auto started = process.start(); !started)
    return fail(global, started.error(), "key server");
  return process.run();
}

}  // namespace strongroom::app
