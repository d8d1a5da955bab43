#include "wire/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/ssl/error.hpp>
#include <asio/write.hpp>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

constexpr std::size_t kReceiveBytes = kWriteBytes;
constexpr std::size_t kBatchBytes = kWriteBytes;     // sent once so much is made
constexpr std::size_t kPlainBytesMax = 64U << 10U;   // given to SSL_write at once
constexpr std::size_t kOverheadBytes = 128U << 10U;  // what kBatchBytes may be exceeded by

TlsStream* stream_of(BIO* bio) { return static_cast<TlsStream*>(BIO_get_data(bio)); }

}  // namespace

TlsStream::TlsStream(Socket socket, SSL* ssl)
    : socket_(std::move(socket)), ssl_(ssl), received_(std::make_unique_for_overwrite<std::byte[]>(kReceiveBytes)) {
    BIO* const bio = BIO_new(method());
    ZF_CHECK(bio != nullptr);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

// ---- OpenSSL's side ----

int TlsStream::give(BIO* bio, char* into, int size) {
    TlsStream& stream = *stream_of(bio);
    BIO_clear_retry_flags(bio);
    const std::size_t bytes =
        std::min(static_cast<std::size_t>(std::max(size, 0)), stream.received_end_ - stream.received_begin_);
    if (bytes == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    std::memcpy(into, stream.received_.get() + stream.received_begin_, bytes);
    stream.received_begin_ += bytes;
    return static_cast<int>(bytes);
}

int TlsStream::take(BIO* bio, const char* from, int size) {
    TlsStream& stream = *stream_of(bio);
    BIO_clear_retry_flags(bio);
    append_bytes(stream.made_, std::as_bytes(std::span(from, static_cast<std::size_t>(std::max(size, 0)))));
    return size;
}

BIO_METHOD* TlsStream::method() {
    static BIO_METHOD* const made = [] {
        BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "zoneferry");
        ZF_CHECK(fresh != nullptr);
        BIO_meth_set_read(fresh, &TlsStream::give);
        BIO_meth_set_write(fresh, &TlsStream::take);
        BIO_meth_set_ctrl(fresh, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
        return fresh;
    }();
    return made;
}

// No error: it only waits for more to be received.
std::error_code TlsStream::failure(int result) {
    const int reason = SSL_get_error(ssl_, result);
    if (reason == SSL_ERROR_WANT_READ) return {};
    if (reason == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
    const unsigned long code = ERR_get_error();
    return {code == 0 ? 1 : static_cast<int>(code), asio::error::get_ssl_category()};
}

// ---- the socket's side ----

template <class Then>
void TlsStream::receive(Then then) {
    socket_.async_read_some(asio::buffer(received_.get(), kReceiveBytes),
                            [self = shared_from_this(), then](std::error_code error, std::size_t bytes) {
                                self->received_begin_ = 0;
                                self->received_end_ = bytes;
                                then(error);
                            });
}

// When it has gone out, what waits for that goes on.
void TlsStream::send_made() {
    if (is_sending_ || made_.empty()) return;
    is_sending_ = true;
    std::swap(made_, sent_);
    asio::async_write(socket_, asio::buffer(sent_), [self = shared_from_this()](std::error_code error, std::size_t) {
        self->is_sending_ = false;
        self->sent_.clear();
        if (error) self->send_error_ = error;
        if (self->write_done_) self->go_on_writing();
    });
}

// ---- handshake ----

void TlsStream::handshake(bool is_server, Done done) {
    is_server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
    handshake_done_ = std::move(done);
    go_on_with_handshake();
}

void TlsStream::go_on_with_handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    std::error_code error = result == 1 ? std::error_code() : failure(result);
    send_made();
    if (result != 1 && !error) {
        return receive([this](std::error_code failed) {
            if (!failed) return go_on_with_handshake();
            std::exchange(handshake_done_, nullptr)(failed);
        });
    }
    asio::post(socket_.get_executor(), [self = shared_from_this(), error] {
        if (self->handshake_done_) std::exchange(self->handshake_done_, nullptr)(error);
    });
}

// ---- reading ----

void TlsStream::read_some(MutableBytes into, Read done) {
    read_into_ = into;
    read_done_ = std::move(done);
    go_on_reading();
}

void TlsStream::go_on_reading() {
    std::size_t filled = 0;
    while (!read_error_ && filled < read_into_.size()) {
        std::size_t bytes = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_, read_into_.data() + filled, read_into_.size() - filled, &bytes);
        filled += bytes;
        if (result == 1) continue;
        read_error_ = failure(result);
        break;
    }
    send_made();
    if (filled > 0 || read_error_) return end_read(filled > 0 ? std::error_code() : read_error_, filled);
    receive([this](std::error_code failed) {
        if (!failed) return go_on_reading();
        std::exchange(read_done_, nullptr)(failed, 0);
    });
}

void TlsStream::end_read(std::error_code error, std::size_t bytes) {
    asio::post(socket_.get_executor(),
               [self = shared_from_this(), error, bytes] { std::exchange(self->read_done_, nullptr)(error, bytes); });
}

// ---- writing ----

void TlsStream::write(ConstBytes head, ConstBytes body, Done done) {
    to_write_ = {head, body};
    write_done_ = std::move(done);
    if (!is_sending_) go_on_writing();
}

void TlsStream::go_on_writing() {
    std::error_code error = send_error_;
    if (made_.capacity() < kBatchBytes) made_.reserve(kBatchBytes + kOverheadBytes);
    for (ConstBytes& rest : to_write_) {
        while (!error && !rest.empty() && made_.size() < kBatchBytes) {
            std::size_t bytes = 0;
            ERR_clear_error();
            const int result = SSL_write_ex(ssl_, rest.data(), std::min(rest.size(), kPlainBytesMax), &bytes);
            rest = rest.subspan(bytes);
            if (result == 1) continue;
            error = failure(result);
            if (!error) error = asio::error::no_protocol_option;  // TLS 1.3 never waits for the other side here
        }
    }
    if (!error && !made_.empty()) return send_made();
    std::exchange(write_done_, nullptr)(error);
}

}  // namespace zoneferry
