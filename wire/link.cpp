#include "wire/link.h"

#include <algorithm>
#include <asio/post.hpp>
#include <asio/ssl/error.hpp>

#include "core/base/text.h"

namespace zoneferry {
namespace {

using Milliseconds = std::chrono::milliseconds;

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

Milliseconds tick_interval(const ConnectionOptions& options) {
    const int shortest = std::min({options.ping_interval_ms, options.silence_ms, options.goodbye_timeout_ms});
    return Milliseconds(std::clamp(shortest / 4, 5, 1000));
}

// Small frames are gathered; behind a segment's payload goes nothing.
bool fits_behind(const Outgoing& buffer, const Outgoing& next) {
    return buffer.head.empty() || (buffer.body.empty() && buffer.head.size() + next.head.size() <= kWriteBytes);
}

}  // namespace

Link::Link(std::shared_ptr<asio::io_context> context, asio::ip::tcp::socket socket, SSL* ssl, ConnectionOptions options)
    : options_(options),
      context_(std::move(context)),
      stream_(std::make_shared<TlsStream>(std::move(socket), ssl)),
      timer_(*context_),
      read_buffer_(kWriteBytes) {}

template <class Work>
void Link::post(Work work) {
    asio::post(*context_, [self = shared_from_this(), work] { (self.get()->*work)(); });
}

std::string Link::peer_name() const {
    return (peer_.host.empty() ? "the joining host" : printable(peer_.host)) + " (" + peer_.address + ")";
}

void Link::start(PeerIdentity peer, bool is_join, ByteVector exporter, std::shared_ptr<void> slot) {
    peer_ = std::move(peer);
    is_join_ = is_join;
    exporter_ = std::move(exporter);
    slot_ = std::move(slot);
    parser_ = FrameParser(is_join);
    started_at_ = heard_at_ = written_at_ = now();
    is_started_ = true;
    if (!is_join) open_window(stream_->socket().native_handle());
    tick();
    read();
}

// --- callers ------------------------------------------------------------------------------------------------

Status Link::send(Outgoing frame) {
    std::unique_lock lock(mutex_);
    can_send_.wait(lock, [&] {
        return error_.has_value() || outbound_.empty() ||
               (outbound_bytes_ + frame.size() <= options_.queue_bytes_max && outbound_.size() < kQueueMessagesMax);
    });
    if (error_) return *error_;
    outbound_bytes_ += frame.size();
    outbound_.push_back(std::move(frame));
    if (outbound_.size() == 1) post(&Link::write);
    return {};
}

Result<Frame> Link::receive(int timeout_ms) {
    std::unique_lock lock(mutex_);
    const auto is_ready = [&] { return !inbound_.empty() || error_.has_value(); };
    if (timeout_ms < 0) {
        can_receive_.wait(lock, is_ready);
    } else if (!can_receive_.wait_for(lock, Milliseconds(timeout_ms), is_ready)) {
        return Error(Errc::timed_out,
                     peer_name() + " sent nothing within " + std::to_string(timeout_ms) + " ms, its connection lives");
    }
    if (inbound_.empty()) return *error_;
    Frame frame = std::move(inbound_.front());
    inbound_.pop_front();
    inbound_bytes_ -= frame.payload.size();
    if (is_paused_ && !is_finished_ && inbound_bytes_ <= options_.queue_bytes_max / 2 &&
        inbound_.size() <= kQueueMessagesMax / 2) {
        is_paused_ = false;
        post(&Link::resume);
    }
    return frame;
}

void Link::close(Error why) {
    const std::lock_guard lock(mutex_);
    if (is_closed_here_) return;
    is_closed_here_ = true;
    error_ = std::move(why);
    inbound_.clear();
    inbound_bytes_ = 0;
    is_paused_ = false;
    can_send_.notify_all();
    can_receive_.notify_all();
    if (!is_finished_) post(&Link::part);
}

void Link::reject(Error why) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(why);
    inbound_.clear();
    inbound_bytes_ = 0;
    is_paused_ = false;
    can_send_.notify_all();
    can_receive_.notify_all();
    if (!is_finished_) post(&Link::part);
}

// The socket is closed only after is_finished_ was set under the same mutex.
WindowBytes Link::window() {
    const std::lock_guard lock(mutex_);
    return is_finished_ ? WindowBytes() : window_of(stream_->socket().native_handle());
}

std::optional<LinkUse> Link::use() {
    const std::lock_guard lock(mutex_);
    if (is_finished_) return std::nullopt;
    std::optional<LinkUse> used = read_link_use(stream_->socket().native_handle());
    if (used) used->waiting_bytes = outbound_bytes_;
    return used;
}

bool Link::is_finished() {
    const std::lock_guard lock(mutex_);
    return is_finished_;
}

bool Link::is_full() const { return inbound_bytes_ > options_.queue_bytes_max || inbound_.size() > kQueueMessagesMax; }

// --- reading ------------------------------------------------------------------------------------------------

void Link::read() {
    if (is_reading_ || is_finished()) return;
    is_reading_ = true;
    heard_at_ = now();  // silence counts only while we listen
    stream_->read_some(read_buffer_, [self = shared_from_this()](std::error_code error, std::size_t bytes) {
        self->on_read(error, bytes);
    });
}

void Link::on_read(std::error_code error, std::size_t bytes) {
    is_reading_ = false;
    if (is_finished()) return;
    if (error) return on_stream_end(error);
    was_heard_ = true;
    heard_at_ = now();
    if (Status fed = parser_.feed(ConstBytes(read_buffer_).first(bytes)); !fed) {
        return finish(std::move(fed).error().during("connection with " + peer_name()));
    }
    if (take_frames()) read();
}

// Hands whole frames to the callers; false if reading has to stop.
bool Link::take_frames() {
    bool is_goodbye = false;
    {
        const std::lock_guard lock(mutex_);
        while (std::optional<Frame> frame = parser_.next()) {
            if (frame->type == FrameType::goodbye) is_goodbye = true;
            if (frame->type == FrameType::goodbye || frame->type == FrameType::ping || is_goodbye || is_parting_ ||
                is_closed_here_) {
                continue;
            }
            inbound_bytes_ += frame->payload.size();
            inbound_.push_back(std::move(*frame));
            can_receive_.notify_all();
        }
        is_paused_ = is_full();
        if (is_paused_ && !is_goodbye) return false;
    }
    if (is_goodbye) on_goodbye();
    return true;
}

void Link::resume() { read(); }

void Link::on_goodbye() {
    is_goodbye_read_ = true;
    {
        const std::lock_guard lock(mutex_);
        if (!error_) error_.emplace(Errc::peer_lost, peer_name() + " closed the connection");
        outbound_.clear();  // it no longer listens
        outbound_bytes_ = 0;
        can_send_.notify_all();
        can_receive_.notify_all();
    }
    part();
}

void Link::on_stream_end(std::error_code error) {
    const std::string name = peer_name();
    if (is_goodbye_read_ || is_goodbye_written_) return finish(Error(Errc::peer_lost, "closed the connection"));
    if (error.category() == asio::error::get_ssl_category()) {
        return finish(
            explain_tls_failure(stream_->ssl(), static_cast<unsigned long>(error.value()), name, error.message()));
    }
    if (!was_heard_ && !SSL_is_server(stream_->ssl())) {
        return finish(Error(Errc::peer_lost, name + " ended the connection before its first answer: does it refuse " +
                                                 "this host's certificate?")
                          .remedy("zoneferry trust list, on both hosts"));
    }
    finish(Error(Errc::peer_lost, "the connection with " + name + " was cut without a goodbye (" + error.message() +
                                      "): it died or the network failed"));
}

// --- writing ------------------------------------------------------------------------------------------------

void Link::write() {
    if (is_writing_ || is_finished() || is_goodbye_written_) return;
    if (!fill_write_buffer()) return;
    is_writing_ = true;
    stream_->write(write_buffer_.head, write_buffer_.body,
                   [self = shared_from_this()](std::error_code error) { self->on_written(error); });
}

// False if there is nothing to write.
bool Link::fill_write_buffer() {
    const std::lock_guard lock(mutex_);
    write_buffer_ = {};
    while (!outbound_.empty() && fits_behind(write_buffer_, outbound_.front())) {
        Outgoing& next = outbound_.front();
        outbound_bytes_ -= next.size();
        if (write_buffer_.head.empty()) {
            write_buffer_ = std::move(next);
        } else {
            append_bytes(write_buffer_.head, next.head);
            write_buffer_.body = std::move(next.body);
        }
        outbound_.pop_front();
    }
    can_send_.notify_all();
    if (!write_buffer_.head.empty()) return true;
    if (!is_parting_) return false;
    is_goodbye_written_ = true;
    write_buffer_.head = empty_frame(FrameType::goodbye);
    return true;
}

void Link::on_written(std::error_code error) {
    is_writing_ = false;
    if (is_finished()) return;
    // The reason lies in what the peer sent before it hung up: the reader will find it, or time out.
    if (error && !is_reading_) return on_stream_end(error);
    if (error) return;
    written_at_ = now();
    if (!is_goodbye_written_) return write();
    if (is_goodbye_read_) return finish(Error(Errc::peer_lost, "closed the connection"));
    std::error_code ignored;
    stream_->socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

// --- parting, time ------------------------------------------------------------------------------------------

void Link::part() {
    if (is_finished()) return;
    if (!is_started_) return finish(Error(Errc::cancelled, "the connection was closed on this side"));
    {
        const std::lock_guard lock(mutex_);
        if (!is_parting_) part_until_ = now() + Milliseconds(options_.goodbye_timeout_ms);
        is_parting_ = true;
    }
    read();  // to see the peer's goodbye, and so that closing the socket does not reset ours away
    write();
}

void Link::finish(Error why) {
    {
        const std::lock_guard lock(mutex_);
        if (is_finished_) return;
        is_finished_ = true;
        if (!error_) error_ = std::move(why);
        outbound_.clear();
        outbound_bytes_ = 0;
        can_send_.notify_all();
        can_receive_.notify_all();
    }
    timer_.cancel();
    std::error_code ignored;
    stream_->socket().close(ignored);
    slot_.reset();
}

void Link::tick() {
    tick_due_ = now() + tick_interval(options_);
    timer_.expires_at(tick_due_);
    timer_.async_wait([self = shared_from_this()](std::error_code error) {
        if (!error && !self->is_finished()) self->on_tick();
    });
}

void Link::on_tick() {
    const SteadyTime time = now();
    heard_at_ += time - tick_due_;  // a late tick: this side stood still, and listened to nobody
    bool is_parting = false;
    {
        const std::lock_guard lock(mutex_);
        is_parting = is_parting_;
        if (!is_writing_ && !is_parting && time - written_at_ >= Milliseconds(options_.ping_interval_ms)) {
            outbound_.push_back({empty_frame(FrameType::ping), {}});
            outbound_bytes_ += kFrameHeaderBytes;
        }
    }
    write();
    if (is_parting && time >= part_until_) return finish(Error(Errc::peer_lost, "closed the connection"));
    if (is_reading_ && time - heard_at_ >= Milliseconds(options_.silence_ms)) {
        return finish(Error(Errc::peer_lost, peer_name() + " has been silent for " +
                                                 std::to_string(options_.silence_ms / 1000) +
                                                 " s: it hangs or the network failed"));
    }
    if (is_join_ && time - started_at_ >= Milliseconds(options_.join_lifetime_ms)) {
        return finish(Error(Errc::timed_out, "the join with " + peer_name() + " took too long"));
    }
    tick();
}

}  // namespace zoneferry
