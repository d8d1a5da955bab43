#include "agent/move_desk.h"

#include <chrono>
#include <utility>

#include "agent/guarded.h"
#include "agent/move/finish.h"
#include "agent/move/target_move.h"
#include "core/base/files.h"

namespace zoneferry {

void MoveDesk::run_in_thread(MoveRecord record) {
    const std::lock_guard guard(mutex_);
    const std::string id = record.id;
    std::erase_if(running_, [](const auto& entry) { return entry.second.move->is_done(); });
    if (stopped_ || running_.contains(id)) return;  // begun while resume_all was on its way
    Running& entry = running_[id];
    entry.move = std::make_unique<SourceMove>(context_, std::move(record));
    entry.thread = std::jthread([move = entry.move.get()] {
        const Status done = guarded([move] { move->run(); });
        if (!done) move->report_fault(done.error());
    });
}

Status MoveDesk::start(const MoveRecord& record) {
    {
        const std::lock_guard one_at_a_time(context_.beginning);
        ZF_TRY(const std::vector<MoveRecord> moves, context_.journal.all());
        for (const MoveRecord& other : moves) {
            if (other.role != Role::source || other.zone != record.zone || is_over(other)) continue;
            return Error(Errc::busy, "move " + other.id + " of zone " + record.zone + " is under way")
                .remedy("zoneferry status " + other.id);
        }
        ZF_TRY_STATUS(context_.journal.add(record));
    }
    run_in_thread(record);
    return {};
}

void MoveDesk::resume_all() {
    const auto records = context_.journal.all();
    if (!records) return;
    for (const MoveRecord& record : *records) {
        if (record.role == Role::source && !is_over(record)) run_in_thread(record);
    }
}

namespace {

// Could this be carried out, or is it too late, too early, or nothing to ask of this host?
Status check_request(const MoveRecord& record, MoveRequest::Kind kind) {
    const std::string stands = "move " + record.id + " is " + std::string(phase_name(record.phase));
    if (record.role != Role::source) {
        return Error(Errc::conflict, "move " + record.id + " is led by " + record.peer)
            .remedy("type it on " + record.peer);
    }
    switch (kind) {
        case MoveRequest::Kind::abort:
            if (can_abort(record)) return {};
            return Error(Errc::conflict, stands + " and cannot be aborted").remedy("zoneferry rollback " + record.id);
        case MoveRequest::Kind::pause:
            if (record.phase == Phase::begun || allows(record, EventKind::paused)) return {};
            return Error(Errc::conflict, stands + ": only passes beside the running zone can be paused");
        case MoveRequest::Kind::resume:
            if (allows(record, EventKind::resumed)) return {};
            return Error(Errc::conflict, stands + ", not paused");
        case MoveRequest::Kind::reclaim: break;  // resolve.h has looked
        case MoveRequest::Kind::switch_over:
            if (record.phase == Phase::begun || allows(record, EventKind::switching)) return {};
            return Error(Errc::conflict, stands + ": there is nothing to switch")
                .remedy(record.phase == Phase::paused ? "zoneferry resume " + record.id : "");
    }
    return {};
}

}  // namespace

Status MoveDesk::request(const std::string& move_id, MoveRequest request) {
    ZF_TRY(const std::optional<MoveRecord> record, context_.journal.find(move_id));
    if (!record) return Error(Errc::not_found, "no move " + move_id);
    ZF_TRY_STATUS(check_request(*record, request.kind));
    const std::lock_guard guard(mutex_);
    const auto found = running_.find(move_id);
    if (found == running_.end()) return Error(Errc::conflict, "move " + move_id + " is not running");
    found->second.move->request(std::move(request));
    return {};
}

Status MoveDesk::limit(const std::string& move_id, std::uint64_t bytes_per_second) {
    const std::lock_guard guard(mutex_);
    const auto found = running_.find(move_id);
    if (found == running_.end() || found->second.move->is_done()) {
        return Error(Errc::conflict, "move " + move_id + " sends nothing from this host now")
            .remedy("zoneferry status " + move_id + "; a limit is set on the source");
    }
    found->second.move->set_limit(bytes_per_second);
    return {};
}

Status MoveDesk::reclaim(const std::string& move_id, MoveRequest request) {
    {
        const std::lock_guard guard(mutex_);
        const auto found = running_.find(move_id);
        if (found != running_.end() && !found->second.move->is_done()) {
            found->second.move->request(std::move(request));
            return {};
        }
    }
    ZF_TRY(MoveRecord after,
           context_.journal.apply(
               move_id, MoveEvent{.kind = EventKind::reclaiming, .text = request.reason, .number = request.epoch}));
    run_in_thread(std::move(after));
    return {};
}

void MoveDesk::cut(const std::string& peer) {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, connection] : claims_) {
        if (connection && connection->peer().host == peer) connection->close();
    }
    for (const auto& [id, running] : running_) {
        if (running.move->peer() == peer) running.move->interrupt();
    }
}

void MoveDesk::stop() {
    std::map<std::string, Running> ending;
    {
        const std::lock_guard guard(mutex_);
        stopped_ = true;
        ending.swap(running_);
        for (const auto& [id, connection] : claims_) {
            if (connection) connection->close();
        }
    }
    context_.stopping = true;
    context_.board.close();
    for (const auto& [id, running] : ending) running.move->interrupt();
    ending.clear();  // joins
}

Result<MoveDesk::Claim> MoveDesk::claim(const std::string& move_id, std::shared_ptr<Connection> connection) {
    constexpr auto kPatience = std::chrono::seconds(30);
    std::unique_lock lock(mutex_);
    if (const auto found = claims_.find(move_id); found != claims_.end()) {
        if (found->second) found->second->close();
        if (!released_.wait_for(lock, kPatience, [&] { return !claims_.contains(move_id); })) {
            return Error(Errc::busy, "an older session still works on move " + move_id);
        }
    }
    claims_[move_id] = std::move(connection);
    return Claim(*this, move_id);
}

Result<MoveDesk::Claim> MoveDesk::try_claim(const std::string& move_id) {
    const std::lock_guard guard(mutex_);
    if (!claims_.try_emplace(move_id).second) return Error(Errc::busy, "a session works on move " + move_id);
    return Claim(*this, move_id);
}

bool MoveDesk::is_working_on(const std::string& move_id) const {
    const std::lock_guard guard(mutex_);
    const auto found = running_.find(move_id);
    return claims_.contains(move_id) || (found != running_.end() && !found->second.move->is_done());
}

bool MoveDesk::is_claimed(const std::string& move_id) const {
    const std::lock_guard guard(mutex_);
    return claims_.contains(move_id);
}

MoveDesk::Claim::~Claim() {
    if (desk_ == nullptr) return;
    const std::lock_guard guard(desk_->mutex_);
    desk_->claims_.erase(move_id_);
    desk_->released_.notify_all();
}

}  // namespace zoneferry
