#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/app/examples.h"
#include "strongroom/app/tpm_hardware.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/crypto/x509.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/gateway/store_guard.h"
#include "strongroom/index/normalise.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/rpc/yaml.h"

namespace strongroom::app {
namespace {

constexpr int64_t kAuthorityYears = 20;
constexpr size_t kNameBytesMax = 120;
constexpr size_t kCertificateNameMax = 64;  // RFC 5280.

bool is_plain(std::string_view name) {
  return name.size() <= kCertificateNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

struct InitOptions {
  std::string dir;
  std::string name = "strongroom";
  int shares = 5;
  int threshold = 3;
  bool dev = false;
  std::string tpm;
  bool tpm_epochs = false;
};

struct NewPrincipal {
  const char* name;
  const char* role;
};
constexpr NewPrincipal kDevPrincipals[] = {{"operator", "operator"},  {"clerk", "clerk"},
                                           {"officer", "officer"},    {"auditor", "auditor"},
                                           {"privacy", "privacy"},    {"approver1", "approver"},
                                           {"approver2", "approver"}, {"approver3", "approver"}};
constexpr NewPrincipal kFounders[] = {{"operator", "operator"},
                                      {"officer", "officer"},
                                      {"approver1", "approver"},
                                      {"approver2", "approver"},
                                      {"approver3", "approver"}};

Result<keyserver::Founding> founding_of(bool dev) {
  keyserver::Founding founding;
  if (dev) {
    for (const char* yaml : kExampleCollections) {
      SR_TRY(rpc::parse_yaml(yaml, founding.collections.emplace_back()));
    }
  }
  SR_TRY(rpc::parse_yaml(dev ? kExamplePolicy : kFoundingPolicy, founding.policy));
  return founding;
}

std::string text_of(const SecretBuffer& buffer) {
  return std::string(as_text(buffer.read(SecretAccess{})));
}

Result<void> write_keys(const VaultDir& dir, const SealingKey& root,
                        const crypto::CertificateAndKey& authority, v1::VaultFile& vault) {
  auto& files = env::real_files();
  SR_TRY(
      files.write_atomic(dir.authority_certificate(), as_bytes(authority.certificate_pem), 0644));
  SR_TRY(files.write_atomic(dir.authority_key(), authority.key_pem.read(SecretAccess{}), 0600));
  const auto term_key = crypto::random_secret<TermKey>();
  vault.set_term_check(to_hex(gateway::term_check(term_key)));
  std::string hex = to_hex(term_key.read(SecretAccess{})) + "\n";
  auto written = files.write_atomic(dir.term_key(), as_bytes(hex), 0600);
  explicit_bzero(hex.data(), hex.size());
  SR_TRY(written);
  return files.write_atomic(
      dir.term_key_escrow(),
      as_bytes(keyserver::seal_term_key(keyserver::term_escrow_key(root), term_key)), 0600);
}

void print_shares(const std::vector<crypto::Share>& shares, int threshold) {
  std::cout
      << "\nThe vault is sealed. Any " << threshold << " of these " << shares.size()
      << " shares open it; fewer say nothing about the key.\n"
         "They are shown once and kept nowhere: hand each to another person, on paper, now.\n\n";
  for (const auto& share : shares) {
    SecretBuffer text = crypto::share_to_text(share);
    std::cout << "  share " << int{share.x} << "  " << as_text(text.read(SecretAccess{})) << "\n";
  }
  std::cout << "\n";
}

Result<void> run(const Global& global, const InitOptions& options) {
  auto& files = env::real_files();
  const VaultDir dir(options.dir);
  SR_ASSIGN(const bool exists, files.exists(dir.keyserver() + "/vault.json"));
  if (exists)
    return make_error(ErrorCode::kAlreadyExists,
                      "there is a vault here already; it was not touched");
  if (options.name.empty() || options.name.size() > kNameBytesMax ||
      !index::valid_utf8(options.name) || printable(options.name) != options.name) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a vault's name is UTF-8 of at most 120 bytes without control characters; "
                      "give another --name. Nothing was made");
  }
  umask(0077);
  for (const auto& path : {dir.root, dir.keyserver(), dir.mirror(), dir.gateway(), dir.store(),
                           dir.credentials(), dir.run()}) {
    SR_TRY(files.make_dirs(path, 0700));
  }

  SealingKey root = crypto::random_secret<SealingKey>();
  v1::VaultFile vault;
  std::unique_ptr<TpmHardware> hardware;
  if (!options.tpm.empty()) {
    v1::TpmFile& tpm = *vault.mutable_tpm();
    SR_ASSIGN(hardware, TpmHardware::found(options.tpm, options.tpm_epochs, tpm));
    SR_TRY(hardware->seal_root(root, tpm));
  }
  const uint64_t now_s = env::real_clock().wall_ms() / 1000;
  SR_ASSIGN(const auto authority,
            crypto::make_authority(is_plain(options.name) ? options.name : "strongroom",
                                   {static_cast<int64_t>(now_s) - 3600,
                                    static_cast<int64_t>(now_s) + kAuthorityYears * 365 * 86400}));
  SR_TRY(write_keys(dir, root, authority, vault));

  SR_ASSIGN(keyserver::Founding founding, founding_of(options.dev));
  std::vector<std::pair<std::string, crypto::SigningKey>> keys;
  const auto add = [&](const NewPrincipal& p) {
    keys.emplace_back(p.name, crypto::SigningKey::generate());
    v1::Principal principal;
    principal.set_name(p.name);
    principal.set_role(p.role);
    principal.set_public_key(std::string(as_text(keys.back().second.public_key())));
    founding.principals.push_back(std::move(principal));
  };
  if (options.dev) {
    for (const auto& p : kDevPrincipals) add(p);
  } else {
    for (const auto& p : kFounders) add(p);
  }

  vault.set_name(options.name);
  vault.set_dev(options.dev);
  if (!options.dev) {
    vault.set_shares(static_cast<uint32_t>(options.shares));
    vault.set_threshold(static_cast<uint32_t>(options.threshold));
  }
  vault.add_gateways(kGatewayId);
  std::vector<crypto::Share> shares;
  if (options.dev) {
    SR_TRY(keyserver::save_dev_root(files, dir.keyserver(), root));
  } else {
    SR_ASSIGN(shares, crypto::split_secret(root.read(SecretAccess{}),
                                           static_cast<uint8_t>(options.threshold),
                                           static_cast<uint8_t>(options.shares)));
  }
  if (!shares.empty()) vault.set_share_set(to_hex(shares.front().set));
  keyserver::KeyServerOptions server_options{dir.keyserver(), dir.mirror(), kVersion};
  server_options.hardware = hardware.get();
  SR_ASSIGN(const auto server, keyserver::KeyServer::create(server_options, std::move(vault), root,
                                                            founding, files, env::real_clock()));
  const auto& made = server->vault_file();
  const auto log_key = keyserver::log_public_key(made);
  const Connection connection{made.vault(),     made.name(),
                              kGatewayId,       kDefaultListen,
                              "127.0.0.1:7421", authority.certificate_pem,
                              made.origin(),    std::string(as_text(log_key))};
  for (const auto& [name, key] : keys) {
    SR_TRY(save_credential(dir.credentials() + "/" + name + ".json", name, connection, &key, {}));
  }

  if (options.tpm_epochs) {
    std::cerr
        << "\n  The key state is bound to this TPM. If the TPM is lost, so is every record "
           "that no `strongroom backup` has:\n  shares and copies of these files open nothing "
           "without it.\n";
  }
  if (global.json) {
    std::string out = "{\"vault\":" + json_string(made.vault()) +
                      ",\"dev\":" + (options.dev ? "true" : "false") + ",\"shares\":[";
    for (size_t i = 0; i < shares.size(); ++i) {
      out += (i == 0 ? "" : ",") + json_string(text_of(crypto::share_to_text(shares[i])));
    }
    std::cout << out << "]}\n";
    explicit_bzero(out.data(), out.size());
    return {};
  }
  std::cout << "A vault is in " << dir.root << "\n";
  if (options.dev) {
    std::cerr << "\n  ***  DEVELOPMENT VAULT: its root key lies unprotected in "
                 "keyserver/dev-root.key.     ***\n"
                 "  ***  Whoever copies this folder reads every record. Never put real people into "
                 "it.  ***\n\n";
    std::cout
        << "Credentials of clerk, officer, auditor, privacy, operator and approver1..3 are in "
        << dir.credentials()
        << "\nCollections person, incident, parcel and legislator and the example policy are "
           "applied.\n\n"
           "Next:  strongroom serve "
        << dir.root << "\n";
  } else {
    print_shares(shares, options.threshold);
    if (!options.tpm.empty()) {
      std::cout << "The TPM of this machine opens it too, at each start, until it is sealed on "
                   "command.\n\n";
    }
    std::cout
        << "Credentials of the first operator, security officer and three approvers are in "
        << dir.credentials()
        << ": hand each to\nanother person, and delete them here. What widens access takes two of "
           "the approvers.\n\n"
        << "Next:  strongroom serve " << dir.root
        << "     and then, each share holder:  strongroom unseal\n";
  }
  return {};
}

}  // namespace

void add_init(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<InitOptions>();
  auto* command = app.add_subcommand("init", "Found a vault in a folder");
  command->add_option("DIR", options->dir, "A new or empty folder")->required();
  command->add_option("--name", options->name, "What people call it (strongroom)");
  command
      ->add_option("--shares", options->shares, "How many people hold a share of the root key (5)")
      ->check(CLI::Range(1, 255));
  command->add_option("--threshold", options->threshold, "How many of them open the vault (3)")
      ->check(CLI::Range(1, 255));
  command->add_flag("--dev", options->dev,
                    "INSECURE, to try things out: the root key lies in a file; examples and "
                    "credentials are made");
  auto* tpm = command->add_option("--tpm", options->tpm,
                                  "A TPM that opens the vault at each start, beside the shares: "
                                  "device:/dev/tpmrm0");
  command
      ->add_flag(
          "--tpm-epochs", options->tpm_epochs,
          "Bind the key state to the TPM, by secrets that change each hour: what was erased "
          "stays so even before all shares and old disks; but a lost TPM loses every record that "
          "no backup has")
      ->needs(tpm);
  command->footer(
      "Examples:\n  strongroom init ./vault --dev\n  strongroom init /srv/strongroom --shares 5 "
      "--threshold 3");
  command->callback([&global, &status, options] {
    if (options->threshold > options->shares) {
      status = usage("--threshold is more than --shares");
      return;
    }
    if (const auto done = run(global, *options); !done)
      status = fail(global, done.error(), options->dir);
  });
}

}  // namespace strongroom::app
