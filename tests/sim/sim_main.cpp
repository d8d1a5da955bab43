// sim [--seeds N] [--first N] [--seed N] [--plant NUMBER]: simulated moves, each from its seed.
//
// Every seed runs in safety mode and, with faults that stop, in liveness mode. A failure prints the seed and ends with
// 1; --seed N replays it step by step. --plant: the product as it must not be (world.h); then a failure must be found
// among the seeds, and the status says so.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/world.h"

int main(int count, char** words) {
    using namespace zoneferry::sim;
    std::uint64_t seeds = 20'000;
    std::uint64_t first = 1;
    bool is_told = false;
    int plant = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::uint64_t number = std::strtoull(words[i + 1], nullptr, 10);
        const std::string word = words[i];
        if (word == "--seeds") seeds = number;
        if (word == "--first") first = number;
        if (word == "--plant") plant = static_cast<int>(number);
        if (word == "--seed") {
            first = number;
            seeds = 1;
            is_told = true;
        }
    }
    long long moves = 0;
    long long moved = 0;
    long long faults = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        for (const bool liveness : {false, true}) {
            if (is_told)
                std::printf("seed %llu, %s\n", static_cast<unsigned long long>(seed), liveness ? "liveness" : "safety");
            const Outcome outcome = simulate(seed, liveness, static_cast<Plant>(plant), is_told);
            moves += outcome.moves;
            moved += outcome.moved;
            faults += outcome.faults;
            if (outcome.broken.empty()) continue;
            std::printf("seed %llu (%s): %s\nreplay: sim --seed %llu --plant %d\n",
                        static_cast<unsigned long long>(seed), liveness ? "liveness" : "safety", outcome.broken.c_str(),
                        static_cast<unsigned long long>(seed), plant);
            return plant == 0 ? 1 : 0;
        }
    }
    std::printf("%llu seeds, %lld moves begun, %lld came to the target, %lld faults\n",
                static_cast<unsigned long long>(seeds), moves, moved, faults);
    if (plant != 0) std::printf("the planted bug %d was not found\n", plant);
    return plant == 0 ? 0 : 1;
}
