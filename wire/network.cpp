#include "wire/network.h"

#include <netinet/tcp.h>

#include <asio/connect.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/ssl/error.hpp>
#include <atomic>
#include <future>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/text.h"
#include "wire/link.h"
#include "wire/look_up.h"
#include "wire/socket_buffers.h"
#include "wire/tls_peer.h"

namespace zoneferry {
namespace {

using Tcp = asio::ip::tcp;
using ConnectionPtr = std::shared_ptr<Connection>;
constexpr int kAcceptPauseMs = 200;  // after an accept failed for want of descriptors

std::string address_text(const Tcp::endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    const std::string shown = endpoint.address().is_v6() ? "[" + address + "]" : address;
    return shown + ":" + std::to_string(endpoint.port());
}

std::string remote_address(const Tcp::socket& socket) {
    std::error_code error;
    const Tcp::endpoint endpoint = socket.remote_endpoint(error);
    return error ? "?" : address_text(endpoint);
}

void tune(Tcp::socket& socket) {
    std::error_code ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const int fd = socket.native_handle();
    const auto set = [fd](int option, int value) { (void)::setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value); };
    set(TCP_KEEPIDLE, 15);
    set(TCP_KEEPINTVL, 5);
    set(TCP_KEEPCNT, 4);
}

// A new SSL that cannot be laxer than the rules, whatever the context says. Null: no memory.
SSL* new_ssl(const TlsContext& context, int verify_mode) {
    SSL* ssl = SSL_new(context.get());
    if (ssl == nullptr) return nullptr;
    SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
    SSL_set_num_tickets(ssl, 0);
    if (verify_mode != SSL_VERIFY_NONE) SSL_set_verify(ssl, verify_mode, nullptr);
    return ssl;
}

// One thread for each conversation; finished ones are joined when the next begins.
class Workers {
public:
    ~Workers() { join_all(); }
    bool run(std::function<void()> work) {
        const std::lock_guard lock(mutex_);
        reap();
        if (workers_.size() >= kConnectionsMax) return false;
        Worker& worker = workers_.emplace_back();
        worker.thread = std::thread([work = std::move(work), is_done = worker.is_done] {
            work();
            *is_done = true;
        });
        return true;
    }
    void join_all() {
        std::list<Worker> left;
        {
            const std::lock_guard lock(mutex_);
            left.swap(workers_);
        }
        for (Worker& worker : left) worker.thread.join();
    }

private:
    struct Worker {
        std::thread thread;
        std::shared_ptr<std::atomic<bool>> is_done = std::make_shared<std::atomic<bool>>(false);
    };
    void reap() {
        workers_.remove_if([](Worker& worker) {
            if (!*worker.is_done) return false;
            worker.thread.join();
            return true;
        });
    }
    std::mutex mutex_;
    std::list<Worker> workers_;
};

}  // namespace

// --- state --------------------------------------------------------------------------------------------------

class Network::Impl : public std::enable_shared_from_this<Network::Impl> {
public:
    explicit Impl(ConnectionOptions options);
    void shut();
    void stop();
    Result<std::uint16_t> listen(const std::string& address, std::uint16_t port,
                                 std::function<ServerContexts()> contexts, std::function<void(ConnectionPtr)> accepted);

    struct Target {
        std::string host;
        std::uint16_t port = 0;
        TlsContext context;
        bool is_join = false;
        std::string expected;  // the host's name, or for a join the fingerprint
        int timeout_ms = 0;
    };
    Result<ConnectionPtr> connect(Target target);

private:
    struct Listener {
        explicit Listener(asio::io_context& context) : acceptor(context), pause(context) {}
        Tcp::acceptor acceptor;
        asio::steady_timer pause;
        std::function<ServerContexts()> contexts;
        std::function<void(ConnectionPtr)> accepted;
    };
    // One try to connect: the first to call end() decides.
    struct Attempt {
        explicit Attempt(asio::io_context& context, Target wanted)
            : target(std::move(wanted)), socket(context), timer(context) {}
        void end(Result<ConnectionPtr> result) {
            if (std::exchange(is_over, true)) return;
            std::error_code ignored;
            timer.cancel();
            socket.close(ignored);
            if (!result && link) link->finish(result.error());
            answer.set_value(std::move(result));
        }
        std::string name() const {
            return (target.is_join ? "the inviting host" : target.expected) + " (" + printable(target.host) + ":" +
                   std::to_string(target.port) + ")";
        }
        Target target;
        Tcp::socket socket;
        asio::steady_timer timer;
        std::shared_ptr<Link> link;
        bool is_over = false;
        std::promise<Result<ConnectionPtr>> answer;
    };
    using AttemptPtr = std::shared_ptr<Attempt>;

    void accept_next(const std::shared_ptr<Listener>& listener);
    void welcome(const std::shared_ptr<Listener>& listener, Tcp::socket socket);
    void on_accepted(const std::shared_ptr<Listener>& listener, const std::shared_ptr<Link>& link,
                     const std::string& address, std::shared_ptr<void> slot);
    void resolve(const AttemptPtr& attempt);
    void try_addresses(const AttemptPtr& attempt, const std::vector<std::string>& addresses);
    void on_tcp_connected(const AttemptPtr& attempt);
    Result<ConnectionPtr> on_tls_connected(Attempt& attempt);
    std::shared_ptr<Link> new_link(Tcp::socket socket, SSL* ssl);
    std::shared_ptr<void> take_slot();
    bool has_too_many(const std::string& peer);

    const ConnectionOptions options_;
    const std::shared_ptr<asio::io_context> context_ = std::make_shared<asio::io_context>(1);
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::shared_ptr<std::atomic<std::size_t>> unauthenticated_ = std::make_shared<std::atomic<std::size_t>>(0);
    std::vector<std::shared_ptr<Listener>> listeners_;  // network thread
    std::list<std::weak_ptr<Link>> links_;              // network thread
    std::list<std::weak_ptr<Link>> accepted_;           // network thread: those of peers that came to us
    std::list<std::weak_ptr<Attempt>> attempts_;        // network thread
    bool is_stopping_ = false;                          // network thread
    Workers workers_;
    std::thread thread_;
};

Network::Impl::Impl(ConnectionOptions options) : options_(options), work_(context_->get_executor()) {
    thread_ = std::thread([context = context_] {
        for (;;) {
            try {
                context->run();
                return;
            } catch (const std::exception&) {  // out of memory in one handler: the other connections go on
                continue;
            }
        }
    });
}

void Network::Impl::shut() {
    asio::post(*context_, [this] {
        is_stopping_ = true;
        for (const auto& listener : listeners_) {
            std::error_code ignored;
            listener->acceptor.close(ignored);
            listener->pause.cancel();
        }
        const Error why(Errc::cancelled, "this agent's network was shut down");
        for (const auto& weak : attempts_) {
            if (const auto attempt = weak.lock()) attempt->end(why);
        }
        for (const auto& weak : links_) {
            if (const auto link = weak.lock()) link->close(why);
        }
    });
}

void Network::Impl::stop() {
    shut();
    work_.reset();
    thread_.join();  // ends when every link has finished
    workers_.join_all();
}

std::shared_ptr<Link> Network::Impl::new_link(Tcp::socket socket, SSL* ssl) {
    auto link = std::make_shared<Link>(context_, std::move(socket), ssl, options_);
    links_.remove_if([](const std::weak_ptr<Link>& weak) { return weak.expired(); });
    links_.push_back(link);
    return link;
}

// Counts one unauthenticated socket until the last copy goes.
std::shared_ptr<void> Network::Impl::take_slot() {
    if (*unauthenticated_ >= options_.unauthenticated_max) return nullptr;
    ++*unauthenticated_;
    return {unauthenticated_.get(), [count = unauthenticated_](void*) { --*count; }};
}

bool Network::Impl::has_too_many(const std::string& peer) {
    std::size_t count = 0;
    accepted_.remove_if([&](const std::weak_ptr<Link>& weak) {
        const auto link = weak.lock();
        if (!link || link->is_finished()) return true;
        count += link->peer().host == peer ? 1 : 0;
        return false;
    });
    return count >= options_.of_peer_max;
}

// --- listening ----------------------------------------------------------------------------------------------

Result<std::uint16_t> Network::Impl::listen(const std::string& address, std::uint16_t port,
                                            std::function<ServerContexts()> contexts,
                                            std::function<void(ConnectionPtr)> accepted) {
    const std::string where = printable(address) + ":" + std::to_string(port);
    std::error_code error;
    const asio::ip::address ip = asio::ip::make_address(address, error);
    if (error) return Error(Errc::invalid, "listen address " + where + " is not an IP address");
    auto listener = std::make_shared<Listener>(*context_);
    const Tcp::endpoint endpoint(ip, port);
    listener->acceptor.open(endpoint.protocol(), error);
    if (!error) listener->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) listener->acceptor.bind(endpoint, error);
    if (!error) prepare_listener(listener->acceptor.native_handle());
    if (!error) listener->acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return system_error("listening at " + where, error.value());
    const std::uint16_t bound = listener->acceptor.local_endpoint(error).port();
    listener->contexts = std::move(contexts);
    listener->accepted = std::move(accepted);
    asio::post(*context_, [this, listener] {
        listeners_.push_back(listener);
        accept_next(listener);
    });
    return bound;
}

void Network::Impl::accept_next(const std::shared_ptr<Listener>& listener) {
    if (is_stopping_ || !listener->acceptor.is_open()) return;
    listener->acceptor.async_accept([this, listener](std::error_code error, Tcp::socket socket) {
        if (is_stopping_) return;
        if (!error) {
            welcome(listener, std::move(socket));
            return accept_next(listener);
        }
        listener->pause.expires_after(std::chrono::milliseconds(kAcceptPauseMs));
        listener->pause.async_wait([this, listener](std::error_code) { accept_next(listener); });
    });
}

void Network::Impl::welcome(const std::shared_ptr<Listener>& listener, Tcp::socket socket) {
    std::shared_ptr<void> slot = take_slot();
    if (slot == nullptr) return;  // too many strangers at once: the socket closes
    const ServerContexts contexts = listener->contexts();
    if (contexts.mutual == nullptr) return;
    install_alpn_choice(contexts.mutual.get());
    SSL* ssl = new_ssl(contexts.mutual, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    if (ssl == nullptr) return;
    tune(socket);
    restrain_stranger(socket.native_handle());
    const std::string address = remote_address(socket);
    const std::shared_ptr<Link> link = new_link(std::move(socket), ssl);
    link->server_choice().join = contexts.join.get();
    set_server_choice(ssl, &link->server_choice());
    link->timer().expires_after(std::chrono::milliseconds(options_.tls_timeout_ms));
    link->timer().async_wait([link](std::error_code error) {
        if (!error) link->finish(Error(Errc::timed_out, "the TLS handshake took too long"));
    });
    link->stream().handshake(true, [this, listener, link, address, slot, join = contexts.join](std::error_code error) {
        std::error_code ignored;
        link->timer().cancel();
        link->server_choice().join = nullptr;
        if (error || link->is_finished()) return link->finish(Error(Errc::untrusted, "the TLS handshake failed"));
        on_accepted(listener, link, address, slot);
    });
}

void Network::Impl::on_accepted(const std::shared_ptr<Listener>& listener, const std::shared_ptr<Link>& link,
                                const std::string& address, std::shared_ptr<void> slot) {
    if (is_stopping_) return link->finish(Error(Errc::cancelled, "this agent's network was shut down"));
    SSL* ssl = link->stream().ssl();
    const bool is_join = link->server_choice().is_join;
    if (Status session = check_session(ssl, is_join); !session) return link->finish(session.error());
    Result<ByteVector> exporter = read_exporter(ssl);
    if (!exporter) return link->finish(exporter.error());
    PeerIdentity peer;
    if (!is_join) {
        Result<PeerIdentity> identity = read_peer_identity(ssl);
        if (!identity) return link->finish(identity.error());
        peer = *identity;
        slot.reset();
    }
    peer.address = address;
    const std::string name = peer.host;
    const bool is_too_many = !is_join && has_too_many(name);
    link->start(std::move(peer), is_join, *std::move(exporter), std::move(slot));
    auto connection = std::make_shared<Connection>(link);
    if (is_too_many) {
        const Error why(Errc::busy, name + " has " + std::to_string(options_.of_peer_max) +
                                        " connections with this host already: no more at once");
        (void)connection->send(Refusal(why));  // into an empty queue: it does not wait
        return connection->close();
    }
    if (!is_join) accepted_.push_back(link);
    const bool runs =
        workers_.run([accepted = listener->accepted, connection]() mutable { accepted(std::move(connection)); });
    if (!runs) link->finish(Error(Errc::busy, "too many connections"));
}

// --- connecting ---------------------------------------------------------------------------------------------

Result<ConnectionPtr> Network::Impl::connect(Target target) {
    const int timeout_ms = target.timeout_ms;
    auto attempt = std::make_shared<Attempt>(*context_, std::move(target));
    std::future<Result<ConnectionPtr>> answer = attempt->answer.get_future();
    asio::post(*context_, [this, attempt, timeout_ms] {
        if (is_stopping_) return attempt->end(Error(Errc::cancelled, "this agent's network was shut down"));
        attempts_.remove_if([](const std::weak_ptr<Attempt>& weak) { return weak.expired(); });
        attempts_.push_back(attempt);
        attempt->timer.expires_after(std::chrono::milliseconds(timeout_ms));
        attempt->timer.async_wait([attempt, timeout_ms](std::error_code error) {
            if (error) return;
            attempt->end(Error(Errc::unreachable,
                               attempt->name() + " did not answer within " + std::to_string(timeout_ms) + " ms")
                             .remedy("is zoneferryd running there, and does a firewall let this port through?"));
        });
        resolve(attempt);
    });
    return answer.get();
}

void Network::Impl::resolve(const AttemptPtr& attempt) {
    std::error_code error;
    asio::ip::make_address(attempt->target.host, error);
    if (!error) return try_addresses(attempt, {attempt->target.host});
    // What is left behind with the thread keeps neither the network nor the attempt.
    const auto done = [this, context = std::weak_ptr(context_),
                       waiting = std::weak_ptr(attempt)](Result<std::vector<std::string>> found) {
        const auto network = context.lock();
        if (network == nullptr) return;
        asio::post(*network, [this, waiting, found = std::move(found)] {
            const auto asked = waiting.lock();
            if (asked == nullptr || asked->is_over) return;
            if (!found) return asked->end(found.error());
            try_addresses(asked, *found);
        });
    };
    if (Status begun = look_up_apart(options_.look_up, attempt->target.host, done); !begun) {
        attempt->end(begun.error());
    }
}

void Network::Impl::try_addresses(const AttemptPtr& attempt, const std::vector<std::string>& addresses) {
    const auto on_connect = [this, attempt](std::error_code error, const Tcp::endpoint&) {
        if (attempt->is_over) return;
        if (!error) return on_tcp_connected(attempt);
        attempt->end(Error(Errc::unreachable, "no connection to " + attempt->name(), error.value())
                         .remedy("is zoneferryd running there, and does a firewall let this port through?"));
    };
    auto endpoints = std::make_shared<std::vector<Tcp::endpoint>>();  // outlives the tries
    for (const std::string& address : addresses) {
        std::error_code error;
        const asio::ip::address ip = asio::ip::make_address(address, error);
        if (!error) endpoints->emplace_back(ip, attempt->target.port);
    }
    asio::async_connect(
        attempt->socket, *endpoints,
        [endpoints, on_connect](std::error_code error, const Tcp::endpoint& at) { on_connect(error, at); });
}

void Network::Impl::on_tcp_connected(const AttemptPtr& attempt) {
    const Target& target = attempt->target;
    SSL* ssl = new_ssl(target.context, target.is_join ? SSL_VERIFY_NONE : SSL_VERIFY_PEER);
    if (ssl == nullptr) return attempt->end(Error(Errc::io, "no memory for a TLS connection"));
    tune(attempt->socket);
    attempt->link = new_link(std::move(attempt->socket), ssl);
    if (Status ready = prepare_client(ssl, target.is_join); !ready) return attempt->end(ready.error());
    attempt->link->stream().handshake(false, [this, attempt](std::error_code error) {
        if (attempt->is_over) return;
        if (!error) return attempt->end(on_tls_connected(*attempt));
        const bool is_tls = error.category() == asio::error::get_ssl_category();
        attempt->end(explain_tls_failure(attempt->link->stream().ssl(),
                                         is_tls ? static_cast<unsigned long>(error.value()) : 0, attempt->name(),
                                         error.message()));
    });
}

Result<ConnectionPtr> Network::Impl::on_tls_connected(Attempt& attempt) {
    const Target& target = attempt.target;
    SSL* ssl = attempt.link->stream().ssl();
    ZF_TRY_STATUS(check_session(ssl, target.is_join));
    PeerIdentity peer;
    if (target.is_join) {
        ZF_TRY(const std::string fingerprint, read_peer_fingerprint(ssl));
        if (fingerprint != target.expected) {
            return Error(Errc::untrusted, "what answers at " + attempt.name() +
                                              " is not the host that gave the invitation: its key is another one, "
                                              "nothing was sent to it")
                .remedy("check the address; ask the other administrator for a new invitation");
        }
    } else {
        ZF_TRY(peer, read_peer_identity(ssl));
        if (peer.host != target.expected) {
            return Error(Errc::untrusted, "what answers at " + printable(target.host) + ":" +
                                              std::to_string(target.port) + " is " + printable(peer.host) + ", not " +
                                              printable(target.expected) + ": nothing was sent to it");
        }
    }
    ZF_TRY(ByteVector exporter, read_exporter(ssl));
    peer.address = remote_address(attempt.link->stream().socket());
    attempt.link->start(std::move(peer), target.is_join, std::move(exporter), nullptr);
    return std::make_shared<Connection>(attempt.link);
}

// --- the door -----------------------------------------------------------------------------------------------

Network::Network(ConnectionOptions options) : impl_(std::make_shared<Impl>(options)) {}
Network::~Network() { impl_->stop(); }
void Network::shut() { impl_->shut(); }

Result<std::uint16_t> Network::listen(const std::string& address, std::uint16_t port,
                                      std::function<ServerContexts()> contexts,
                                      std::function<void(std::shared_ptr<Connection>)> accepted) {
    return impl_->listen(address, port, std::move(contexts), std::move(accepted));
}

Result<std::shared_ptr<Connection>> Network::connect(const std::string& host, std::uint16_t port,
                                                     const TlsContext& context, const std::string& expected_host,
                                                     int timeout_ms) {
    return impl_->connect({host, port, context, false, expected_host, timeout_ms});
}

Result<std::shared_ptr<Connection>> Network::connect_for_join(const std::string& host, std::uint16_t port,
                                                              const TlsContext& context,
                                                              const std::string& expected_spki_fingerprint,
                                                              int timeout_ms) {
    return impl_->connect({host, port, context, true, expected_spki_fingerprint, timeout_ms});
}

}  // namespace zoneferry
