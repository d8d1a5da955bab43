// A world for two agents in one process: disks that forget what was not synced, a network that cuts, delays and
// drops, a clock that jumps; all of it from one seed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/move/move_record.h"
#include "core/zone/owner_record.h"
#include "wire/codec.h"

namespace zoneferry::sim {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    std::uint64_t below(std::uint64_t bound) {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
        return (mixed ^ (mixed >> 31U)) % bound;
    }
    bool one_in(std::uint64_t many) { return below(many) == 0; }

private:
    std::uint64_t state_;
};

// Paths and their content; a directory tree is one entry. Changes reach the platter in order, at the latest with
// sync(): a power cut loses some of the changes since then, always the newest.
class Disk {
public:
    std::optional<std::string> read(const std::string& path) const {
        const auto found = now_.find(path);
        return found == now_.end() ? std::nullopt : std::optional(found->second);
    }
    bool has(const std::string& path) const { return now_.contains(path); }
    void write(const std::string& path, const std::string& content) {
        change([&] { now_[path] = content; });
    }
    void remove(const std::string& path) {
        change([&] { now_.erase(path); });
    }
    void rename(const std::string& from, const std::string& to) {
        change([&] {
            now_[to] = now_.at(from);
            now_.erase(from);
        });
    }
    void sync() { older_.clear(); }
    void lose_power(Random& random) {
        if (older_.empty()) return;
        const std::size_t kept = random.below(older_.size() + 1);
        if (kept < older_.size()) now_ = older_[kept];
        ++changes_;
        older_.clear();
    }
    const std::map<std::string, std::string>& all() const { return now_; }
    std::uint64_t changes() const { return changes_; }

private:
    template <class Change>
    void change(Change make) {
        older_.push_back(now_);
        ++changes_;
        make();
    }
    std::map<std::string, std::string> now_;
    std::uint64_t changes_ = 0;
    std::vector<std::map<std::string, std::string>> older_;  // before each change since the last sync
};

// One connection: bytes of real frames, in order, until it is cut. Its number, not its place in memory, orders it
// among others: a seed is then the same run in every process.
struct Line {
    int number = 0;
    int from = 0;
    int to = 0;
    bool is_open = true;
    std::deque<ByteVector> there;
    std::deque<ByteVector> back;
};
using LinePtr = std::shared_ptr<Line>;
struct ByNumber {
    bool operator()(const LinePtr& one, const LinePtr& other) const { return one->number < other->number; }
};

// How the product would be wrong; each must be found.
enum class Plant {
    none,
    target_gives_up_alone,  // READY is discarded on a time-out
    abort_after_release,
    release_unpromised,  // as soon as the digests are equal
    halt_unfrozen,       // the owner record is not frozen before the halt
    owner_not_synced,    // a record is renamed into place without a sync of the directory
    journal_not_synced,  // synchronous=FULL: the last commit may be gone after a power cut
    grant_not_repeated,
    finalize_looks_once,  // a copy is deleted as it was judged before the target was asked
};

struct Outcome {
    std::string broken;  // the rule and when; empty: all held
    int moves = 0;
    int moved = 0;
    int faults = 0;
};

// One seed. liveness: faults stop half way, and then everything must come to its end.
Outcome simulate(std::uint64_t seed, bool liveness, Plant plant, bool is_told);

}  // namespace zoneferry::sim
