#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <future>

#include "strongroom/rpc/event_loop_impl.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/rpc/interned.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

using AsioError = boost::system::error_code;
using Done = std::function<void(Result<v1::Reply>)>;

constexpr size_t kSecretBytes = 32;
constexpr size_t kLanesGuess = 64;                     // A collection has about 16 live lanes.
constexpr size_t kReplyBytesMax = kFrameBytesMax / 2;  // What a batch may ask for, by that guess.

Error lost() {
  return make_error(ErrorCode::kUnavailable,
                    "the key server cannot be reached; retry with the same request id");
}

// A batch whose reply would not fit a frame must not be sent: its calls would be carried out, and
// logged, for nothing.
size_t reply_bytes_guess(const v1::Call& call) {
  constexpr size_t kReplyOverhead = 64;
  constexpr size_t kErasuresReplyGuess = size_t{160} << 10;  // 10,000 of them.
  const auto secrets = [](size_t count) { return kReplyOverhead + count * kSecretBytes; };
  switch (call.call_case()) {
    case v1::Call::kTokens:
      return secrets(static_cast<size_t>(call.tokens().terms_size()) * kLanesGuess);
    case v1::Call::kRelease:
      return secrets(static_cast<size_t>(call.release().items_size()) *
                     static_cast<size_t>(__builtin_popcount(call.release().groups())));
    case v1::Call::kGrant:
      return secrets(call.grant().count());
    case v1::Call::kUpdateGrant:
      return secrets(static_cast<size_t>(call.update_grant().items_size()) * 2);
    case v1::Call::kUniqueTokens:
      return secrets(static_cast<size_t>(call.unique_tokens().h_w_size()));
    case v1::Call::kErasures:
      return kErasuresReplyGuess;
    default:
      return kReplyOverhead;
  }
}

ErrorCode error_code_of(uint32_t code) {
  return code <= static_cast<uint32_t>(ErrorCode::kInternal) ? static_cast<ErrorCode>(code)
                                                             : ErrorCode::kInternal;
}

Error error_of(const v1::CallError& error) {
  return Error{error_code_of(error.code()), intern_text(error.text()), error.number(),
               error.retry_after_ms()};
}

struct Waiting {
  v1::Call call;
  size_t bytes;
  size_t reply_bytes;
  Done done;
};

}  // namespace

struct KeyServiceLink::Impl : std::enable_shared_from_this<KeyServiceLink::Impl> {
  Impl(EventLoop& the_loop, std::string the_path, Options the_options)
      : loop(the_loop),
        path(std::move(the_path)),
        options(the_options),
        socket(the_loop.impl().io),
        timer(the_loop.impl().io) {}
  ~Impl() { wipe(out); }

  void call(v1::Call&& call, Done done);
  bool try_connect();
  void reconnect_later();
  void schedule_flush();
  void flush();
  void read(uint64_t session);
  bool take_reply(Bytes frame);
  void broken(uint64_t session);
  void fail_all();
  void close();

  EventLoop& loop;
  const std::string path;
  const Options options;
  UnixSocket socket;
  LoopTimer timer;
  std::unique_ptr<FrameReader> reader;
  std::deque<Waiting> queue;
  std::deque<std::vector<Done>> in_flight;  // Oldest first: replies come in the order of batches.
  std::string out;
  uint64_t session = 0;  // Of the connection; what belongs to an older one is ignored.
  uint64_t batches_sent = 0;
  int backoff_ms = 0;
  bool connected = false;
  bool writing = false;
  bool flush_scheduled = false;
  bool closed = false;
};

void KeyServiceLink::Impl::call(v1::Call&& call, Done done) {
  if (!connected) {
    net::post(loop.impl().io, [done = std::move(done)] { done(lost()); });
    return;
  }
  const size_t bytes = call.ByteSizeLong();
  const size_t reply_bytes = reply_bytes_guess(call);
  queue.push_back({std::move(call), bytes, reply_bytes, std::move(done)});
  schedule_flush();
}

bool KeyServiceLink::Impl::try_connect() {
  AsioError error;
  socket = UnixSocket(loop.impl().io);
  // Blocking, but only in name: a Unix socket accepts into its backlog at once or refuses.
  socket.connect(net::local::stream_protocol::endpoint(path), error);
  if (error) return false;
  connected = true;
  backoff_ms = options.backoff_ms_min;
  reader = std::make_unique<FrameReader>();
  read(++session);
  return true;
}

void KeyServiceLink::Impl::reconnect_later() {
  timer.expires_after(std::chrono::milliseconds(backoff_ms));
  backoff_ms = std::min(backoff_ms * 2, options.backoff_ms_max);
  timer.async_wait([weak = weak_from_this()](const AsioError& error) {
    const auto me = weak.lock();
    if (error || !me || me->closed) return;
    if (!me->try_connect()) me->reconnect_later();
  });
}

void KeyServiceLink::Impl::schedule_flush() {
  if (flush_scheduled) return;
  flush_scheduled = true;
  // Behind what the loop has ready by now, so that its calls share the batch.
  net::post(loop.impl().io, [weak = weak_from_this()] {
    const auto me = weak.lock();
    if (!me) return;
    me->flush_scheduled = false;
    me->flush();
  });
}

void KeyServiceLink::Impl::flush() {
  if (closed || !connected || writing || queue.empty() ||
      in_flight.size() >= static_cast<size_t>(options.batches_in_flight) ||
      (!in_flight.empty() && queue.size() < options.batch_calls_worth)) {
    return;
  }
  v1::CallBatch batch;
  std::vector<Done> done;
  size_t bytes = 0;
  size_t reply_bytes = 0;
  while (!queue.empty() && done.size() < options.batch_calls_max) {
    Waiting& next = queue.front();
    bytes += next.bytes;
    reply_bytes += next.reply_bytes;
    if (!done.empty() && (bytes > options.batch_bytes_max || reply_bytes > kReplyBytesMax)) break;
    batch.add_calls()->Swap(&next.call);
    done.push_back(std::move(next.done));
    queue.pop_front();
  }
  if (auto encoded = append_frame(batch, out); !encoded) {
    for (Done& one : done) one(encoded.error());
    return schedule_flush();
  }
  in_flight.push_back(std::move(done));
  ++batches_sent;
  writing = true;
  net::async_write(socket, net::buffer(out),
                   [me = shared_from_this(), of = session](const AsioError& error, size_t) {
                     if (of != me->session || me->closed) return;
                     me->writing = false;
                     wipe(me->out);
                     if (error) return me->broken(of);
                     me->flush();
                   });
}

void KeyServiceLink::Impl::read(uint64_t of) {
  const MutableBytes space = reader->space();
  socket.async_read_some(net::buffer(space.data(), space.size()),
                         [me = shared_from_this(), of](const AsioError& error, size_t size) {
                           if (of != me->session || me->closed) return;
                           if (error) return me->broken(of);
                           me->reader->filled(size);
                           for (;;) {
                             auto frame = me->reader->next();
                             if (!frame || (*frame && !me->take_reply(**frame)))
                               return me->broken(of);
                             if (of != me->session || me->closed) return;
                             if (!*frame) break;
                           }
                           me->flush();
                           me->read(of);
                         });
}

// False: the key server does not keep to the protocol.
bool KeyServiceLink::Impl::take_reply(Bytes frame) {
  if (in_flight.empty()) return false;
  v1::ReplyBatch batch;
  const bool parsed = batch.ParseFromArray(frame.data(), static_cast<int>(frame.size()));
  if (!parsed || batch.replies_size() != static_cast<int>(in_flight.front().size())) {
    wipe(batch);
    return false;
  }
  std::vector<Done> done = std::move(in_flight.front());
  in_flight.pop_front();
  // What queued meanwhile goes out first: the key server works on it while these replies are used.
  flush();
  for (size_t i = 0; i < done.size(); ++i) {
    v1::Reply reply;
    reply.Swap(batch.mutable_replies(static_cast<int>(i)));
    if (reply.has_error()) {
      done[i](error_of(reply.error()));
    } else {
      done[i](std::move(reply));
    }
  }
  return true;
}

void KeyServiceLink::Impl::fail_all() {
  std::deque<Waiting> waiting = std::move(queue);
  std::deque<std::vector<Done>> flying = std::move(in_flight);
  queue.clear();
  in_flight.clear();
  for (auto& batch : flying) {
    for (Done& done : batch) done(lost());
  }
  for (Waiting& one : waiting) one.done(lost());
}

void KeyServiceLink::Impl::broken(uint64_t of) {
  if (of != session || closed) return;
  ++session;
  connected = writing = false;
  AsioError ignored;
  socket.close(ignored);
  wipe(out);
  fail_all();
  if (!closed) reconnect_later();
}

void KeyServiceLink::Impl::close() {
  closed = true;
  connected = false;
  AsioError ignored;
  socket.close(ignored);
  timer.cancel();
  fail_all();
}

Result<std::unique_ptr<KeyServiceLink>> KeyServiceLink::connect(EventLoop& loop, std::string path,
                                                                Options options) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the key server's socket path is too long; use a shorter folder name",
                      static_cast<int64_t>(path.size()));
  }
  auto impl = std::make_shared<Impl>(loop, std::move(path), options);
  impl->backoff_ms = options.backoff_ms_min;
  if (!impl->try_connect()) impl->reconnect_later();
  return std::unique_ptr<KeyServiceLink>(new KeyServiceLink(std::move(impl)));
}

KeyServiceLink::KeyServiceLink(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

KeyServiceLink::~KeyServiceLink() {
  impl_->close();
}

void KeyServiceLink::call(v1::Call&& call, std::function<void(Result<v1::Reply>)> done) {
  impl_->call(std::move(call), std::move(done));
}

Result<v1::Reply> KeyServiceLink::call_blocking(v1::Call call) {
  SR_CHECK(!impl_->loop.in_loop_thread(), "call_blocking() on the loop's thread");
  auto promise = std::make_shared<std::promise<Result<v1::Reply>>>();
  auto future = promise->get_future();
  impl_->loop.post([weak = std::weak_ptr<Impl>(impl_), promise = std::move(promise),
                    call = std::move(call)]() mutable {
    const auto answer = [promise](Result<v1::Reply> reply) {
      promise->set_value(std::move(reply));
    };
    const auto live = weak.lock();
    if (!live) return answer(lost());
    live->call(std::move(call), answer);
  });
  try {
    return future.get();
  } catch (const std::future_error&) {  // The loop was destroyed before it came to this.
    return lost();
  }
}

bool KeyServiceLink::connected() const {
  return impl_->connected;
}

uint64_t KeyServiceLink::batches_sent() const {
  return impl_->batches_sent;
}

}  // namespace strongroom::rpc
