#include "agent/move/look_back.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "agent/move/moved_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::array<std::pair<FileFlag, char>, 10> kLetters{{
    {FileFlag::append, 'a'},
    {FileFlag::no_atime, 'A'},
    {FileFlag::compress, 'c'},
    {FileFlag::no_cow, 'C'},
    {FileFlag::no_dump, 'd'},
    {FileFlag::dir_sync, 'D'},
    {FileFlag::immutable, 'i'},
    {FileFlag::no_compress, 'm'},
    {FileFlag::project_inherit, 'P'},
    {FileFlag::sync, 'S'},
}};

// A path that needs no quotes in any shell: others are only shown.
bool is_plain(std::string_view path) {
    return std::all_of(path.begin(), path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._+,@:-").find(c) != std::string_view::npos;
    });
}

// In the zone, so that no link of its tree leads into the host's.
std::string command_for(const MoveRecord& record, const LateChange& change) {
    constexpr std::string_view kZoneRoot = "root/";
    if (change.is_more || !change.path.starts_with(kZoneRoot) || !is_plain(change.path)) return {};
    return "zoneadm -z " + record.zone + " login chattr " + chattr_words(change.attributes) + " /" +
           change.path.substr(kZoneRoot.size());
}

// What there is to type, as the end of a sentence.
std::string remedy_for(const MoveRecord& record, const LateChanges& found) {
    std::string commands;
    for (const LateChange& change : found.first) {
        const std::string command = command_for(record, change);
        if (!command.empty()) commands += "; " + command;
    }
    if (commands.empty()) return "compare " + record.zonepath + " on both";
    return "on " + record.peer + " type: " + commands.substr(2);
}

Result<LateChanges> look(AgentContext& context, const MoveRecord& record) {
    const MovedTree tree = zonepath_tree(record);
    const auto go_on = [&context] {
        return context.stopping ? Status(Error(Errc::cancelled, "the agent is stopping")) : Status();
    };
    ZF_TRY(const UniqueFd top, open_directory(context.root.at(tree.path)));
    return find_late_changes(top, move_file(context.root, tree, record.id, "catalog"), excluded_names(tree), go_on);
}

MoveEvent unseen_event(const Error& why) {
    return {.kind = EventKind::looked_back,
            .text = "whether file attributes changed after they were sent cannot be seen any more: " + why.text()};
}

}  // namespace

bool wants_look_back(const std::vector<JournalEntry>& events) {
    bool wants = false;
    for (const JournalEntry& event : events) {
        if (event.kind == event_name(EventKind::pass_done) && !event.text.empty()) wants = event.text == "tracked";
        if (event.kind == event_name(EventKind::looked_back)) return false;
    }
    return wants;
}

std::string chattr_words(const FileAttributes& attributes) {
    std::string set;
    std::string unset;
    for (const auto& [flag, letter] : kLetters) {
        const bool is_set = (attributes.flags & static_cast<std::uint32_t>(flag)) != 0;
        (is_set ? set : unset) += letter;
    }
    std::string words = attributes.project == 0 ? "" : "-p " + std::to_string(attributes.project) + " ";
    if (!set.empty()) words += "+" + set;
    if (!set.empty() && !unset.empty()) words += " ";
    if (!unset.empty()) words += "-" + unset;
    return words;
}

MoveEvent looked_back_event(const MoveRecord& record, const LateChanges& found) {
    MoveEvent event{.kind = EventKind::looked_back,
                    .number = static_cast<std::int64_t>(found.count),
                    .flag = found.is_more,
                    .extra = static_cast<std::int64_t>(found.looked_at)};
    if (found.count == 0) return event;
    std::string paths;
    for (const LateChange& change : found.first) paths += (paths.empty() ? "" : ", ") + printable(change.path);
    if (found.count > found.first.size()) {
        paths += " and " + std::to_string(found.count - found.first.size()) + " more";
    }
    const bool is_one = found.count == 1;
    event.text = std::to_string(found.count) + (is_one ? " entry" : " entries") + " of zone " + record.zone +
                 " changed after " + (is_one ? "it was" : "they were") +
                 " last sent, which the kernel did not announce (" +
                 (found.is_more ? "not only file attributes" : "file attributes") + "): " + paths + "; " + record.peer +
                 " has what was before, and the copy here is kept; " + remedy_for(record, found);
    return event;
}

Result<MoveRecord> look_back(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(const std::vector<JournalEntry> events, context.journal.history(record.id));
    if (!wants_look_back(events)) return record;
    const auto found = look(context, record);
    if (!found && found.error().code() == Errc::cancelled) return found.error();
    const MoveEvent event = found ? looked_back_event(record, *found) : unseen_event(found.error());
    ZF_TRY(MoveRecord after, context.journal.apply(record.id, event));
    if (event.text.empty()) return after;
    context.board.publish(MoveNews{.type = MoveNews::Type::note,
                                   .move_id = record.id,
                                   .zone = record.zone,
                                   .phase = std::string(phase_name(after.phase)),
                                   .message = event.text});
    return after;
}

}  // namespace zoneferry
