#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/write.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "strongroom/rpc/event_loop_impl.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/rpc/listen.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

using AsioError = boost::system::error_code;
using Protocol = net::local::stream_protocol;

bool trusted_peer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

// Makes way for a new socket, if what is at `path` is one that nobody listens on.
Result<void> remove_stale(net::io_context& io, const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "what lies at the key server's socket path is not a socket; move it away");
  }
  UnixSocket probe(io);
  AsioError error;
  probe.connect(Protocol::endpoint(path), error);
  if (!error) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "another key server listens on this socket; stop it first");
  }
  if (unlink(path.c_str()) != 0) {
    return make_error(ErrorCode::kUnavailable, "the key server's old socket cannot be removed");
  }
  return {};
}

v1::ReplyBatch too_large(int count) {
  v1::ReplyBatch batch;
  for (int i = 0; i < count; ++i) {
    auto& error = *batch.add_replies()->mutable_error();
    error.set_code(static_cast<uint32_t>(ErrorCode::kTooBroad));
    error.set_text("the batch's reply is too large; ask for less in one call");
    error.set_number(-1);
    error.set_retry_after_ms(-1);
  }
  return batch;
}

}  // namespace

struct KeyServiceListener::Impl : std::enable_shared_from_this<KeyServiceListener::Impl> {
  struct Peer : std::enable_shared_from_this<Peer> {
    Peer(std::shared_ptr<Impl> the_listener, UnixSocket the_socket)
        : listener(std::move(the_listener)), socket(std::move(the_socket)) {}
    ~Peer() { wipe(out); }
    void read();
    void work();
    void close();

    std::shared_ptr<Impl> listener;
    UnixSocket socket;
    FrameReader reader;
    std::string out;
    bool closed = false;
  };

  Impl(EventLoop& the_loop, std::string the_path, Handler the_handler)
      : loop(the_loop),
        path(std::move(the_path)),
        handler(std::move(the_handler)),
        acceptor(the_loop.impl().io) {}
  void accept();
  void close();

  EventLoop& loop;
  const std::string path;
  const Handler handler;
  UnixAcceptor acceptor;
  std::unordered_set<std::shared_ptr<Peer>> peers;
  // The handler may run what else is ready on the loop: batches wait until it is through.
  bool handling = false;
  std::vector<std::shared_ptr<Peer>> waiting;
  bool closed = false;
};

void KeyServiceListener::Impl::accept() {
  acceptor.async_accept([me = shared_from_this()](const AsioError& error, UnixSocket socket) {
    if (me->closed) return;
    if (error) {
      me->loop.after(kAcceptPause, [weak = me->weak_from_this()] {
        if (const auto live = weak.lock(); live && !live->closed) live->accept();
      });
      return;
    }
    if (trusted_peer(socket.native_handle())) {
      const auto peer = std::make_shared<Peer>(me, std::move(socket));
      me->peers.insert(peer);
      peer->read();
    }
    me->accept();
  });
}

void KeyServiceListener::Impl::close() {
  closed = true;
  AsioError ignored;
  acceptor.close(ignored);
  ::unlink(path.c_str());
  while (!peers.empty()) {
    const auto peer = *peers.begin();
    peer->close();
  }
}

void KeyServiceListener::Impl::Peer::close() {
  if (closed) return;
  closed = true;
  AsioError ignored;
  socket.close(ignored);
  listener->peers.erase(shared_from_this());
}

void KeyServiceListener::Impl::Peer::read() {
  const MutableBytes space = reader.space();
  socket.async_read_some(net::buffer(space.data(), space.size()),
                         [me = shared_from_this()](const AsioError& error, size_t size) {
                           if (me->closed) return;
                           if (error) return me->close();
                           me->reader.filled(size);
                           me->work();
                         });
}

// One batch, then its reply; other gateways have their turn while that is written.
void KeyServiceListener::Impl::Peer::work() {
  if (listener->handling) return listener->waiting.push_back(shared_from_this());
  const auto frame = reader.next();
  if (!frame) return close();
  if (!*frame) return read();
  v1::CallBatch calls;
  if (!calls.ParseFromArray((*frame)->data(), static_cast<int>((*frame)->size()))) return close();
  const int count = calls.calls_size();
  listener->handling = true;
  v1::ReplyBatch replies = listener->handler(std::move(calls));
  listener->handling = false;
  for (const auto& peer : std::exchange(listener->waiting, {})) {
    listener->loop.post([peer] {
      if (!peer->closed) peer->work();
    });
  }
  SR_CHECK(replies.replies_size() == count, "a batch must get as many replies as it has calls");
  if (closed) return wipe(replies);
  const auto encoded = append_frame(replies, out);
  wipe(replies);
  if (!encoded && !append_frame(too_large(count), out)) return close();
  net::async_write(socket, net::buffer(out),
                   [me = shared_from_this()](const AsioError& error, size_t) {
                     wipe(me->out);
                     if (me->closed) return;
                     if (error) return me->close();
                     me->work();
                   });
}

Result<std::unique_ptr<KeyServiceListener>> KeyServiceListener::listen(EventLoop& loop,
                                                                       std::string path,
                                                                       Handler handler) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the key server's socket path is too long; use a shorter folder name",
                      static_cast<int64_t>(path.size()));
  }
  SR_TRY(remove_stale(loop.impl().io, path));
  auto impl = std::make_shared<Impl>(loop, std::move(path), std::move(handler));
  AsioError error;
  impl->acceptor.open(Protocol(), error);
  // On Linux a Unix socket is born with the mode of its descriptor: at no time may others connect.
  if (!error && fchmod(impl->acceptor.native_handle(), 0600) == 0) {
    impl->acceptor.bind(Protocol::endpoint(impl->path), error);
    if (!error) impl->acceptor.listen(net::socket_base::max_listen_connections, error);
    if (!error) {
      impl->accept();
      return std::unique_ptr<KeyServiceListener>(new KeyServiceListener(std::move(impl)));
    }
  }
  return make_error(ErrorCode::kUnavailable,
                    "the key server's socket cannot be made; check its folder");
}

KeyServiceListener::KeyServiceListener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

KeyServiceListener::~KeyServiceListener() {
  impl_->close();
}

}  // namespace strongroom::rpc
