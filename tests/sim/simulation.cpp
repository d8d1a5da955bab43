// The agents of the simulation: the product's table, next steps, owner records, boot gate and wire frames, and around
// them its order of writes and messages, an operation at a time, so that a fault falls between any two.
#include <algorithm>
#include <cstdio>
#include <functional>

#include "agent/move/move_plan.h"
#include "core/base/digest.h"
#include "tests/sim/world.h"

namespace zoneferry::sim {
namespace {

constexpr const char* kZone = "web01";
constexpr const char* kTree = "/zones/web01";
constexpr const char* kOwner = "/owners/web01";
constexpr const char* kIndex = "/etc/zones/index";
constexpr const char* kUuid = "01234567-89ab-4def-8123-456789abcdef";
constexpr std::int64_t kPatienceMs = 8'000;  // quiesced_retry_s and retry_s
constexpr std::int64_t kAnswerMs = 30'000;
constexpr std::int64_t kSweepMs = 15'000;

enum class Did { next, again, fail };
using Op = std::function<Did()>;

// A tree as one entry: its version, and the owner record beside it.
std::string tree_of(int version, const std::string& owner) { return std::to_string(version) + "|" + owner; }
int version_of(const std::string& tree) { return std::stoi(tree); }
std::string owner_of(const std::string& tree) { return tree.substr(tree.find('|') + 1); }
std::string staging_of(const std::string& move) { return "/zones/.incoming-" + move; }

struct Job {
    std::deque<Op> ops;
    LinePtr line;
    bool has_lock = false;      // of the zone: let go when the job ends
    bool is_beginning = false;  // holds AgentContext::beginning
};
struct SourceRun {
    Job job;
    LinePtr line;
    bool is_prepared = false;
    bool wants_abort = false;
    std::int64_t failing_since_ms = -1;
    std::int64_t wait_until_ms = 0;
    std::vector<PassTime> passes;
};
struct Host {
    std::string name;
    Disk disk;
    std::map<std::string, MoveRecord> journal;
    std::map<std::string, MoveRecord> journal_before;  // for a commit that was not synced
    bool up = true;
    bool runs = false;
    int seen = 0;  // the version that the running zone has in memory
    std::string locked_by;
    bool is_beginning = false;
    std::map<std::string, SourceRun> sources;
    std::map<LinePtr, Job, ByNumber> sessions;
    std::map<std::string, LinePtr> claims;
    Job janitor;
    std::deque<std::string> to_look_after;
    LinePtr janitor_line;
    Op janitor_done;  // after a failure
    std::int64_t sweep_at_ms = 0;
    std::int64_t skew_ms = 0;
};

class Simulation {
public:
    Simulation(std::uint64_t seed, bool liveness, Plant plant, bool told)
        : random_(seed), liveness_(liveness), plant_(plant), told_(told) {
        calm_ = 1 + random_.below(8);
        hosts_[0].name = "host1";
        hosts_[1].name = "host2";
        hosts_[0].disk.write(kTree, tree_of(1, ""));
        hosts_[0].disk.write(kIndex, "installed");
        hosts_[0].disk.sync();
        hosts_[0].runs = !random_.one_in(3);
    }

    Outcome run() {
        constexpr int kFaultTicks = 600;
        constexpr int kCalmTicks = 6'000;
        for (int tick = 0; tick < kFaultTicks && outcome_.broken.empty(); ++tick) {
            trouble();
            people();
            step();
        }
        if (liveness_ && outcome_.broken.empty()) {
            link_is_up_ = true;
            for (Host& host : hosts_) host.up = true;
            int tick = 0;
            while (tick < kCalmTicks && outcome_.broken.empty() && !is_calm()) {
                step();
                ++tick;
            }
            if (outcome_.broken.empty() && !is_calm()) broken("a move does not come to its end: " + phases());
            if (outcome_.broken.empty()) check_calm();
        }
        for (const Host& host : hosts_) {
            for (const auto& [id, record] : host.journal) {
                outcome_.moves += record.role == Role::source ? 1 : 0;
                outcome_.moved += record.role == Role::target &&
                                  (record.phase == Phase::activated || record.phase == Phase::returned ||
                                   record.phase == Phase::finalized);
            }
        }
        return outcome_;
    }

private:
    // ---- the world ---------------------------------------------------------------------------------------
    void tell(const std::string& what) {
        if (told_) std::printf("%8lld ms  %s\n", static_cast<long long>(now_ms_), what.c_str());
    }
    void broken(const std::string& rule) {
        if (outcome_.broken.empty()) outcome_.broken = rule + " at " + std::to_string(now_ms_) + " ms; " + phases();
    }
    std::string phases() const {
        std::string text;
        for (const Host& host : hosts_) {
            text += host.name + (host.up ? "" : " (down)") + (host.runs ? " runs it" : "") + ":";
            for (const auto& [id, record] : host.journal) {
                text +=
                    " " + id + " " + std::string(role_name(record.role)) + " " + std::string(phase_name(record.phase));
            }
            text += "; ";
        }
        return text;
    }
    void trouble() {
        if (random_.one_in(link_is_up_ ? calm_ * 60 : 15)) {
            link_is_up_ = !link_is_up_;
            if (!link_is_up_) cut();
            tell(link_is_up_ ? "link up" : "link cut");
            ++outcome_.faults;
        }
        for (Host& host : hosts_) {
            if (!host.up) {
                if (random_.one_in(8)) host.up = true;
                continue;
            }
            if (random_.one_in(calm_ * 90)) agent_dies(host);
            if (random_.one_in(calm_ * 150)) power_cut(host);
            if (random_.one_in(200))
                host.skew_ms = static_cast<std::int64_t>(random_.below(60)) * 86'400'000 - 86'400'000;
        }
    }
    void cut() {
        for (const LinePtr& line : lines_) line->is_open = false;
        lines_.clear();
    }
    void agent_dies(Host& host) {
        tell(host.name + ": agent killed");
        ++outcome_.faults;
        host.up = false;
        host.locked_by.clear();
        host.sources.clear();
        host.sessions.clear();
        host.claims.clear();
        host.is_beginning = false;
        host.janitor = Job();
        host.to_look_after.clear();
        host.janitor_done = nullptr;
        host.sweep_at_ms = 0;
        cut();
    }
    void power_cut(Host& host) {
        agent_dies(host);
        tell(host.name + ": power cut");
        host.disk.lose_power(random_);
        if (plant_ == Plant::journal_not_synced && !host.journal_before.empty() && random_.one_in(2)) {
            host.journal = host.journal_before;
        }
        host.runs = false;
    }
    void people() {
        for (Host& host : hosts_) {
            if (host.runs && random_.one_in(20)) write(host);
            if (host.locked_by.empty() && !host.runs && can_run(host) && random_.one_in(25)) boot(host);
            if (host.locked_by.empty() && host.runs && random_.one_in(60)) host.runs = false;
            if (!host.up) continue;
            if (random_.one_in(30)) start_move(host);
            for (auto& [id, source] : host.sources) {
                if (random_.one_in(calm_ * 120)) source.wants_abort = true;
            }
        }
    }
    void write(Host& host) {
        const std::string tree = *host.disk.read(kTree);
        if (version_of(tree) != newest_) broken("what runs is not the newest");
        host.disk.write(kTree, tree_of(++newest_, owner_of(tree)));
        host.disk.sync();  // the zone was told that it is safe
    }
    void boot(Host& host) {
        host.runs = true;
        ++events_;
        tell(host.name + ": booted");
        check();
    }

    static std::optional<OwnerRecord> parsed(const std::optional<std::string>& text) {
        if (!text || text->empty()) return std::nullopt;
        const auto record = parse_owner_record(*text);
        return record ? std::optional(*record) : std::nullopt;
    }
    static std::optional<OwnerRecord> owner(const Host& host) {
        const auto tree = host.disk.read(kTree);
        return effective_record(parsed(host.disk.read(kOwner)), tree ? parsed(owner_of(*tree)) : std::nullopt);
    }
    static bool can_run(const Host& host) {
        return host.disk.has(kTree) && host.disk.read(kIndex) == "installed" && check_may_boot(owner(host)).has_value();
    }
    void check() {
        const std::uint64_t changes = events_ + hosts_[0].disk.changes() + hosts_[1].disk.changes();
        if (changes == checked_) return;
        checked_ = changes;
        if (hosts_[0].runs && hosts_[1].runs) return broken("the zone runs twice");
        if (can_run(hosts_[0]) && can_run(hosts_[1])) return broken("both hosts may run it");
        for (int here = 0; here < 2; ++here) {
            if (hosts_[here].runs && can_run(hosts_[1 - here])) return broken("it could be started a second time");
        }
        bool is_somewhere = false;
        for (const Host& host : hosts_) {
            for (const auto& [path, content] : host.disk.all()) {
                if (!path.starts_with("/zones/") || version_of(content) != newest_) continue;
                is_somewhere = is_somewhere || path == kTree || is_promised(host, path);
            }
        }
        if (!is_somewhere) broken("the last write is lost");
    }
    static bool is_promised(const Host& host, const std::string& path) {
        return std::any_of(host.journal.begin(), host.journal.end(), [&](const auto& entry) {
            const Phase phase = entry.second.phase;
            return path == staging_of(entry.first) && (phase == Phase::ready || phase == Phase::owned);
        });
    }
    bool is_calm() const {
        for (const Host& host : hosts_) {
            for (const auto& [id, record] : host.journal) {
                // A copy is deleted only while the zone runs where it went, if it ran.
                const bool is_well_there = !record.was_running || hosts_[1 - index_of(host)].runs;
                if (!is_over(record) || (wants_deletion(record) && is_well_there)) return false;
                if (host.disk.has(trash_of(record.id))) return false;
            }
            if (!host.sources.empty() && std::any_of(host.sources.begin(), host.sources.end(), [&](const auto& each) {
                    return !is_over(host.journal.at(each.first));
                })) {
                return false;
            }
        }
        return true;
    }
    void check_calm() {
        if (can_run(hosts_[0]) == can_run(hosts_[1])) broken("in the end not exactly one host may run it");
        for (const Host& host : hosts_) {
            for (const auto& [path, content] : host.disk.all()) {
                if (path.starts_with("/zones/.")) broken(host.name + ": left behind " + path);
            }
            const auto record = owner(host);
            if (record && record->state == Ownership::frozen) broken(host.name + ": frozen for ever");
            if (record && record->state == Ownership::incoming) broken(host.name + ": incoming for ever");
        }
    }

    // ---- one step of anything ----------------------------------------------------------------------------
    void step() {
        now_ms_ += static_cast<std::int64_t>(random_.below(200));
        Host& host = hosts_[random_.below(2)];
        if (!host.up) return;
        switch (random_.below(4)) {
            case 0:
            case 1: step_source(host); break;
            case 2: step_sessions(host); break;
            default: step_janitor(host); break;
        }
        check();
    }
    // Runs one operation; true when the job is empty or has failed.
    bool advance(Job& job, bool& failed) {
        failed = false;
        if (job.ops.empty()) return true;
        const Op op = std::move(job.ops.front());  // it may put others behind itself
        job.ops.front() = nullptr;
        const Did did = op();
        if (did == Did::again) {
            job.ops.front() = op;
            return false;
        }
        if (did == Did::fail) {
            job.ops.clear();
            failed = true;
            return true;
        }
        if (!job.ops.empty()) job.ops.pop_front();
        return job.ops.empty();
    }
    // What a job of the target's side held, once it is over.
    static void let_go(Host& host, Job& job) {
        if (job.has_lock) host.locked_by.clear();
        if (job.is_beginning) host.is_beginning = false;
        job.has_lock = job.is_beginning = false;
    }
    Did journal(Host& host, const std::string& move, EventKind kind, bool flag = false) {
        MoveRecord& record = host.journal.at(move);
        const auto after = fold(record, MoveEvent{.kind = kind, .flag = flag});
        if (!after) return Did::fail;
        host.journal_before = host.journal;
        record = *after;
        ++events_;
        tell(host.name + " " + move + ": " + std::string(event_name(kind)));
        return Did::next;
    }
    void set_owner(Host& host, std::deque<Op>& ops, const MoveRecord& of, Ownership state, std::uint64_t epoch,
                   const std::string& holder) {
        OwnerRecord record;
        record.zone = kZone;
        record.zone_uuid = kUuid;
        record.epoch = epoch;
        record.state = state;
        record.host = holder;
        record.move_id = of.id;
        record.since_unix_ms = std::max<std::int64_t>(0, now_ms_ + host.skew_ms);
        const std::string text = owner_record_text(record);
        const auto sync = [this, &host] {
            if (plant_ != Plant::owner_not_synced) host.disk.sync();
            return Did::next;
        };
        ops.push_back([&host, text] { return host.disk.write(kOwner, text), Did::next; });
        ops.push_back(sync);
        if (state == Ownership::incoming) return;
        ops.push_back([&host, text] {
            if (const auto tree = host.disk.read(kTree)) host.disk.write(kTree, tree_of(version_of(*tree), text));
            return Did::next;
        });
        ops.push_back(sync);
    }
    static bool is_held(const Host& host, const MoveRecord& record) {
        const auto now = owner(host);
        if (!now) return true;
        if (now->epoch != record.epoch) return false;
        return now->state == Ownership::owned || (now->state == Ownership::frozen && now->move_id == record.id);
    }

    // ---- the network -------------------------------------------------------------------------------------
    LinePtr connect(Host& host) {
        if (!link_is_up_ || !hosts_[1 - index_of(host)].up) return nullptr;
        const LinePtr line = new_line();
        line->from = index_of(host);
        line->to = 1 - line->from;
        lines_.push_back(line);
        hosts_[line->to].sessions[line].line = line;
        return line;
    }
    LinePtr new_line() {
        auto line = std::make_shared<Line>();
        line->number = ++lines_made_;
        return line;
    }
    int index_of(const Host& host) const { return &host == &hosts_[0] ? 0 : 1; }
    template <class Sent>
    static void send(std::deque<ByteVector>& way, Sent message) {
        auto frame = encode_frame(Message(std::move(message)));
        way.push_back(std::move(frame).value());
    }
    static std::optional<Message> take(std::deque<ByteVector>& way) {
        if (way.empty()) return std::nullopt;
        FrameParser parser(false);
        if (!parser.feed(ConstBytes(way.front()))) return std::nullopt;
        way.pop_front();
        auto frame = parser.next();
        auto message = decode_frame(std::move(*frame));
        return message ? std::optional(*std::move(message)) : std::nullopt;
    }
    template <class Reply>
    Op wait_for(LinePtr* line, std::function<Did(const Reply&)> then) {
        auto until_ms = std::make_shared<std::int64_t>(-1);
        return [this, line, then, until_ms] {
            if (*until_ms < 0) *until_ms = now_ms_ + kAnswerMs;
            if (!*line || !(*line)->is_open || now_ms_ > *until_ms) return Did::fail;
            auto message = take((*line)->back);
            if (!message) return Did::again;
            const auto* reply = std::get_if<Reply>(&*message);
            return reply == nullptr ? Did::fail : then(*reply);
        };
    }

#include "tests/sim/source.inc"
#include "tests/sim/target.inc"

    Random random_;
    bool liveness_;
    Plant plant_;
    bool told_;
    Host hosts_[2];
    std::vector<LinePtr> lines_;
    int lines_made_ = 0;
    bool link_is_up_ = true;
    std::int64_t now_ms_ = 0;
    int newest_ = 1;
    std::uint64_t calm_ = 1;  // this seed's faults are so many times rarer
    int next_move_ = 0;
    std::uint64_t events_ = 0;
    std::uint64_t checked_ = 0;
    Outcome outcome_;
};

}  // namespace

Outcome simulate(std::uint64_t seed, bool liveness, Plant plant, bool is_told) {
    return Simulation(seed, liveness, plant, is_told).run();
}

}  // namespace zoneferry::sim
