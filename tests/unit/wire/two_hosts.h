// Two hosts that trust each other, in one process: their trust stores and networks over loopback.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "certs/trust_store.h"
#include "core/base/clock.h"
#include "tests/support/temp_directory.h"
#include "wire/network.h"

namespace zoneferry {

using ConnectionPtr = std::shared_ptr<Connection>;
inline constexpr int kTestTimeoutMs = 20'000;

inline std::int64_t now_ms() { return SystemClock().unix_ms(); }

// Both sides of a join, without a network.
inline Status join_directly(TrustStore& inviter, TrustStore& joiner, const std::string& host) {
    const ByteVector exporter = random_bytes(32);
    ZF_TRY(const Invitation invitation, inviter.invite(host, {"127.0.0.1:7743"}, 600, now_ms()));
    ZF_TRY(const JoinAttempt attempt, joiner.begin_join(invitation, now_ms()));
    ZF_TRY(const JoinAnswer answer,
           inviter.answer_join(host, attempt.request_pem(), attempt.proof(exporter), exporter, now_ms()));
    return joiner.complete_join(attempt, answer.certificate_pem, answer.authority_pem, answer.proof, exporter,
                                now_ms());
}

// Hands accepted connections to the test; keep() makes a listener's callback.
class Arrivals {
public:
    std::function<void(ConnectionPtr)> keep() {
        return [this](ConnectionPtr connection) {
            const std::lock_guard lock(mutex_);
            arrived_.push_back(std::move(connection));
            changed_.notify_all();
        };
    }
    ConnectionPtr take(int timeout_ms = kTestTimeoutMs) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return !arrived_.empty(); }))
            return {};
        ConnectionPtr connection = std::move(arrived_.front());
        arrived_.pop_front();
        return connection;
    }
    bool is_empty() {
        const std::lock_guard lock(mutex_);
        return arrived_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<ConnectionPtr> arrived_;
};

struct TwoHosts {
    explicit TwoHosts(ConnectionOptions first_options = {}, ConnectionOptions second_options = {})
        : first_network(first_options), second_network(second_options) {
        ZF_CHECK(first.init("host1", now_ms()).has_value());
        ZF_CHECK(join_directly(first, second, "host2").has_value());
        const Result<std::uint16_t> bound =
            second_network.listen("127.0.0.1", 0, contexts_of(second), second_arrivals.keep());
        ZF_CHECK(bound.has_value());
        port = *bound;
    }
    static std::function<ServerContexts()> contexts_of(const TrustStore& store) {
        return [store] {
            ServerContexts contexts;
            if (auto mutual = store.server_context()) contexts.mutual = *mutual;
            if (auto join = store.join_server_context()) contexts.join = *join;
            return contexts;
        };
    }
    Result<ConnectionPtr> connect(int timeout_ms = kTestTimeoutMs) {
        return first_network.connect("127.0.0.1", port, *first.client_context(), "host2", timeout_ms);
    }

    TempDirectory directory;
    TrustStore first = *TrustStore::open(directory.path() + "/first");
    TrustStore second = *TrustStore::open(directory.path() + "/second");
    Arrivals second_arrivals;
    std::uint16_t port = 0;
    Network first_network;
    Network second_network;
};

}  // namespace zoneferry
