// Trees that are hard to copy: one with everything in it, and random ones with random changes. For tests, as root.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace zoneferry {

// Fills an empty directory with every kind of entry and attribute that a tree can have here.
void build_torture_tree(const std::string& directory);

// A random tree (some dozen entries, up to 4 deep), and random changes to it: files rewritten, grown, cut, punched,
// touched; entries added, removed, renamed, replaced by another type; hard links made and cut; modes, owners, xattrs.
class RandomTree {
public:
    RandomTree(std::string directory, std::uint64_t seed) : root_(std::move(directory)), random_(seed) {}
    void build(int entries);
    void mutate(int changes);

private:
    std::uint64_t pick(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
    std::string new_name();
    void scan(const std::string& directory);
    void add_entry(const std::string& path);
    void write_file(const std::string& path, bool truncate);
    void set_attributes(const std::string& path);
    void change(const std::string& path);
    void rotate(const std::string& path);

    std::string root_;
    std::mt19937_64 random_;
    std::vector<std::string> directories_;  // as found by the last scan
    std::vector<std::string> others_;
};

}  // namespace zoneferry
