#include "core/update/attach_update.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/directory_source.h"
#include "core/image/tree_compare.h"
#include "core/packages/database_file.h"
#include "core/zone/claim.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr const char* kWork = "lu";
constexpr const char* kJournal = "journal";
constexpr std::uint64_t kJournalBytesMax = 4096;

struct UpdateJournal {
    ino_t inode = 0;  // of root/ as it was before
    bool in_place = false;
    std::string host_id;  // of the host that does it
};

std::string journal_text(const std::string& zone, const UpdateJournal& journal) {
    return "zone=" + zone + "\nhost=" + journal.host_id + "\ninode=" + std::to_string(journal.inode) +
           "\nin_place=" + (journal.in_place ? "1" : "0") + "\n";
}

Result<UpdateJournal> parse_journal(const std::string& text) {
    UpdateJournal journal;
    const auto lines = split(text, '\n');
    if (lines.size() == 5 && lines[1].starts_with("host=") && lines[2].starts_with("inode=") &&
        lines[3].starts_with("in_place=")) {
        const auto inode = parse_number<ino_t>(lines[2].substr(6));
        journal.host_id = lines[1].substr(5);
        journal.in_place = lines[3].substr(9) == "1";
        if (inode) {
            journal.inode = *inode;
            return journal;
        }
    }
    return Error(Errc::corrupt, "lu/journal below the zonepath is damaged");
}

Result<std::optional<UpdateJournal>> read_journal(int zonepath) {
    const auto work = open_beneath(zonepath, kWork, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!work && work.error().code() == Errc::not_found) return std::optional<UpdateJournal>();
    if (!work) return work.error();
    const auto text = read_in_directory(work->get(), kJournal, "lu/journal", kJournalBytesMax);
    if (!text && text.error().code() == Errc::not_found) return std::optional<UpdateJournal>();
    if (!text) return text.error();
    ZF_TRY(UpdateJournal journal, parse_journal(*text));
    return std::optional<UpdateJournal>(journal);
}

// Empty: there is none.
Result<std::optional<ino_t>> inode_below(int zonepath, const char* path) {
    struct stat info {};
    if (::fstatat(zonepath, path, &info, AT_SYMLINK_NOFOLLOW) == 0) return std::optional<ino_t>(info.st_ino);
    if (errno == ENOENT) return std::optional<ino_t>();
    return system_error(std::string("look at ") + path + " below the zonepath", errno);
}

Result<ino_t> inode_of_root(int zonepath) {
    ZF_TRY(const std::optional<ino_t> inode, inode_below(zonepath, "root"));
    if (!inode) return Error(Errc::not_found, "the zone has no root");
    return *inode;
}

// The journal goes last: while it is there, somebody knows what the rest is.
Status remove_work(int zonepath) {
    const auto work = open_beneath(zonepath, kWork, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!work) return work.error().code() == Errc::not_found ? Status() : Status(work.error());
    ZF_TRY_STATUS(remove_tree_at(work->get(), "root"));
    ZF_TRY_STATUS(remove_tree_at(zonepath, kWork));
    if (::fsync(zonepath) != 0) return system_error("syncing the zonepath", errno);
    return {};
}

// A crash before the journal leaves lu empty, or with the journal's temporary file.
Status remove_empty_work(int zonepath) {
    const auto work = open_beneath(zonepath, kWork, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!work) return {};
    ZF_TRY_STATUS(remove_stale_temporaries_at(work->get()));
    if (::unlinkat(zonepath, kWork, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != ENOENT)
        return system_error("remove the empty lu below the zonepath", errno);
    return {};
}

Result<UniqueFd> make_work(int zonepath) {
    ZF_TRY_STATUS(remove_empty_work(zonepath));
    if (::mkdirat(zonepath, kWork, 0700) != 0) {
        if (errno != EEXIST) return system_error("make lu below the zonepath", errno);
        return Error(Errc::conflict, "the directory lu below the zonepath exists, and no update of ours made it")
            .remedy("move it away");
    }
    return open_beneath(zonepath, kWork, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Status exchange(int zonepath, int work) {
    if (::renameat2(zonepath, "root", work, "root", RENAME_EXCHANGE) != 0)
        return system_error("exchanging the trees", errno);
    if (::fsync(zonepath) != 0 || ::fsync(work) != 0) return system_error("syncing the zonepath", errno);
    return {};
}

Error unknown_trees(const std::string& zone) {
    return Error(Errc::conflict,
                 "an update of zone " + zone +
                     " has broken off, and neither root nor lu/root below the zonepath is the tree that it had before; "
                     "nothing was changed")
        .remedy("see which tree is the right one, make it root and remove lu; or remove all: zoneadm -z " + zone +
                " uninstall");
}

// root/ as it was before, state configured, and nothing of the update left.
Status put_back(ZoneStore& store, const ZoneLock& lock, int zonepath, const UpdateJournal& journal) {
    ZF_TRY(const ino_t now, inode_of_root(zonepath));
    ZF_TRY(const UniqueFd work, open_beneath(zonepath, kWork, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (now != journal.inode) ZF_TRY_STATUS(exchange(zonepath, work.get()));
    ZF_TRY_STATUS(remove_tree_at(work.get(), "root"));
    ZF_TRY(const ZoneEntry entry, store.find(lock.name()));
    if (entry.state == ZoneState::incomplete)
        ZF_TRY_STATUS(store.change_state(lock, ZoneState::incomplete, ZoneState::configured));
    ZF_TRY_STATUS(give_back_by_hand(store.root(), lock, entry.zonepath));
    return remove_work(zonepath);
}

Status copy_root(int zonepath, int work, const UpdateHooks& hooks) {
    ZF_TRY(const UniqueFd source, open_beneath(zonepath, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::mkdirat(work, "root", 0755) != 0) return system_error("make the working copy", errno);
    ZF_TRY(UniqueFd target, open_beneath(work, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    ZF_TRY(ImageWriter writer, ImageWriter::create(std::move(target)));
    InstallReport report;
    const InstallProgressCallback told = [&](const InstallProgress& progress) {
        UpdateProgress shown;
        shown.doing = "copying";
        shown.files = progress.files;
        if (hooks.progress) hooks.progress(shown);
    };
    ZF_TRY_STATUS(copy_directory(source.get(), writer, report, told, {.scope = CopyScope::everything}));
    ZF_TRY_STATUS(writer.finish());
    if (hooks.progress) hooks.progress({.doing = "comparing", .package = "", .files = writer.files()});
    return require_equal_trees(source.get(), writer.root());
}

class AttachUpdate {
public:
    AttachUpdate(const HostRoot& root, const ZoneLock& lock, const AttachUpdateOptions& options)
        : root_(root), lock_(lock), options_(options), attach_(options.attach), store_(root) {}

    Result<AttachUpdateOutcome> run() {
        ZF_TRY(const MendedTo mended, mend_update(root_, lock_));
        if (mended == MendedTo::after) {
            outcome_.attached = true;
            outcome_.notes.push_back("an earlier update had been complete but for its end; the zone is attached now");
            return std::move(outcome_);
        }
        if (mended == MendedTo::before)
            outcome_.notes.push_back("an earlier update had broken off; the zone was put back to its old level first");
        ZF_TRY(ground_, check_attach_ground(root_, lock_.name(), false, outcome_.notes));
        ZF_TRY(outcome_.plan, plan());
        if (outcome_.plan.is_refused()) return std::move(outcome_);
        if (outcome_.plan.steps.empty()) return attach_as_it_is();
        ZF_TRY(const std::vector<std::string> mounts, mounts_below(zonepath()));
        if (!mounts.empty()) {
            return Error(Errc::conflict, "these file systems are still mounted below the zonepath: " +
                                             printable(join(mounts, ", ")) + "; nothing was changed")
                .remedy("umount " + printable(mounts.back()));
        }
        at_step("planned");
        Status done = update();
        if (!done) return std::move(done).error();
        return std::move(outcome_);
    }

private:
    int zonepath() const { return ground_.zonepath.get(); }

    void at_step(const std::string& step) const {
        if (options_.hooks.at_step) options_.hooks.at_step(step);
    }

    Result<UpdatePlan> plan() {
        ZF_TRY(const UniqueFd tree, open_beneath(zonepath(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        ZF_TRY(UpdatePlan plan,
               plan_zone_update(root_, ground_.config, tree.get(), options_.scope, ground_.manifest->inventory));
        Inventory local;
        local.system = plan.system;
        ZF_TRY_STATUS(check_host_fits(root_, *ground_.manifest, local, outcome_.notes));
        return plan;
    }

    std::optional<std::string> uuid() const {
        return attach_.uuid.empty() ? std::nullopt : std::optional<std::string>(attach_.uuid);
    }

    Result<AttachUpdateOutcome> attach_as_it_is() {
        ZF_TRY_STATUS(claim_tree(root_, lock_, ground_.config, attach_));
        ZF_TRY_STATUS(store_.change_state(lock_, ZoneState::configured, ZoneState::installed, uuid()));
        put_manifest_away(zonepath(), false, outcome_.notes);
        outcome_.attached = true;
        return std::move(outcome_);
    }

    Status update() {
        ZF_TRY(UpdateLog log, UpdateLog::open(root_, lock_.name().str()));
        outcome_.host_log = log.host_path();
        ZF_TRY_STATUS(claim_tree(root_, lock_, ground_.config, attach_));
        ZF_TRY(const UniqueFd work, make_work(zonepath()));
        Status done = prepare(work.get());
        if (done) done = change(work.get(), log);
        if (!done && !(is_incomplete_ && !options_.undo)) {
            return undo(std::move(done).error());
        }
        if (!done) {
            return std::move(done).error().during(
                "updating in place failed and the zone is incomplete: what it holds is "
                "not known");
        }
        return finish();
    }

    Status prepare(int work) {
        ZF_TRY(journal_.inode, inode_of_root(zonepath()));
        journal_.in_place = !options_.undo;
        ZF_TRY(const HostFacts facts, gather_host_facts(root_));
        journal_.host_id = facts.host_id;
        ZF_TRY_STATUS(replace_file_at(work, kJournal, journal_text(lock_.name().str(), journal_), 0600));
        if (::fsync(zonepath()) != 0) return system_error("syncing the zonepath", errno);
        at_step("journaled");
        ZF_TRY_STATUS(store_.change_state(lock_, ZoneState::configured, ZoneState::incomplete, uuid()));
        is_incomplete_ = true;
        at_step("incomplete");
        return {};
    }

    Status change(int work, UpdateLog& log) {
        if (options_.undo) {
            Status copied = copy_root(zonepath(), work, options_.hooks);
            if (!copied && copied.error().code() == Errc::no_space) {
                return std::move(copied).error().remedy(
                    "free as much as the zone has, or do it without undo: attach -u "
                    "--no-undo");
            }
            if (!copied) return copied;
            at_step("copied");
        }
        ZF_TRY(const UniqueFd tree,
               open_beneath(options_.undo ? work : zonepath(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        ZF_TRY_STATUS(
            update_tree(root_, ground_.config, outcome_.plan, tree.get(), log, options_.hooks, outcome_.notes));
        if (::syncfs(tree.get()) != 0) return system_error("making the updated zone durable", errno);
        at_step("synced");
        if (!options_.undo) return {};
        ZF_TRY_STATUS(exchange(zonepath(), work));
        at_step("exchanged");
        return {};
    }

    Status drop_work() {
        ZF_TRY_STATUS(give_back_by_hand(root_, lock_, ground_.config.zonepath));
        return remove_work(zonepath());
    }

    Error undo(Error failure) {
        const Status back = journal_.inode == 0 ? drop_work() : put_back(store_, lock_, zonepath(), journal_);
        if (back) {
            return Error(failure.code(),
                         failure.text() + "; zone " + lock_.name().str() + " is as it was before, at its old level")
                .remedy(failure.remedy_text());
        }
        return Error(failure.code(),
                     failure.text() + "; and putting the zone back failed as well: " + back.error().text())
            .remedy("zoneadm -z " + lock_.name().str() + " attach --undo");
    }

    Status finish() {
        ZF_TRY_STATUS(store_.change_state(lock_, ZoneState::incomplete, ZoneState::installed));
        at_step("installed");
        put_manifest_away(zonepath(), false, outcome_.notes);
        at_step("manifest");
        if (Status removed = remove_work(zonepath()); !removed)
            outcome_.notes.push_back("the zone's former tree, lu/root below its zonepath, is still there: " +
                                     removed.error().text());
        outcome_.attached = true;
        return {};
    }

    const HostRoot& root_;
    const ZoneLock& lock_;
    const AttachUpdateOptions& options_;
    AttachOptions attach_;
    ZoneStore store_;
    AttachGround ground_;
    AttachUpdateOutcome outcome_;
    UpdateJournal journal_;
    bool is_incomplete_ = false;
};

}  // namespace

Result<AttachUpdateOutcome> attach_with_update(const HostRoot& root, const ZoneLock& lock,
                                               const AttachUpdateOptions& options) {
    ZF_CHECK(options.scope != UpdateScope::none && !options.attach.force);
    return AttachUpdate(root, lock, options).run();
}

Result<UpdatePlan> preview_update(const HostRoot& root, const ZoneName& name, UpdateScope scope,
                                  std::vector<std::string>& notes) {
    ZF_TRY(const AttachGround ground, check_attach_ground(root, name, false, notes));
    ZF_TRY(const UniqueFd tree, open_beneath(ground.zonepath.get(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return plan_zone_update(root, ground.config, tree.get(), scope, ground.manifest->inventory);
}

namespace {

// The zone was put back, or was detached, or installed anew, since: root/ is what it is, and lu is of no use.
Result<MendedTo> drop_stale(int zonepath, const UpdateJournal& journal) {
    ZF_TRY(const std::optional<ino_t> now, inode_below(zonepath, "root"));
    ZF_TRY_STATUS(remove_work(zonepath));
    return now && *now == journal.inode ? MendedTo::before : MendedTo::nothing;
}

}  // namespace

Result<MendedTo> mend_update(const HostRoot& root, const ZoneLock& lock) {
    ZoneStore store(root);
    ZF_TRY(const ZoneConfig config, store.config(lock.name()));
    const auto zonepath = open_zonepath(root, config.zonepath);
    if (!zonepath)
        return zonepath.error().code() == Errc::not_found ? Result<MendedTo>(MendedTo::nothing) : zonepath.error();
    // On shared storage lu may be the work of the host that has the zone now.
    ZF_TRY_STATUS(may_attach(root, lock.name(), config.zonepath));
    ZF_TRY(const std::optional<UpdateJournal> journal, read_journal(zonepath->get()));
    if (!journal) return MendedTo::nothing;
    ZF_TRY(const HostFacts facts, gather_host_facts(root));
    if (journal->host_id != facts.host_id) {
        return Error(Errc::conflict, "another host has begun to update zone " + lock.name().str() +
                                         " at this zonepath and has not ended it")
            .remedy("there: zoneadm -z " + lock.name().str() + " attach --undo");
    }
    ZF_TRY(const ZoneEntry entry, store.find(lock.name()));
    if (entry.state == ZoneState::configured) {
        ZF_TRY_STATUS(give_back_by_hand(root, lock, entry.zonepath));
        return drop_stale(zonepath->get(), *journal);
    }
    ZF_TRY(const std::optional<ino_t> now, inode_below(zonepath->get(), "root"));
    if (journal->in_place) {
        if (entry.state == ZoneState::incomplete) {
            return Error(Errc::conflict, "an update of zone " + lock.name().str() +
                                             " without undo has broken off: what the zone holds is not known")
                .remedy("restore it from a backup; or remove it: zoneadm -z " + lock.name().str() + " uninstall");
        }
        ZF_TRY_STATUS(remove_work(zonepath->get()));
        return MendedTo::after;
    }
    if (now && *now == journal->inode) {
        ZF_TRY_STATUS(put_back(store, lock, zonepath->get(), *journal));
        return MendedTo::before;
    }
    // Complete only if the exchange was ours: then the former tree lies in lu. Once installed it may be gone.
    ZF_TRY(const std::optional<ino_t> former, inode_below(zonepath->get(), "lu/root"));
    const bool may_be_gone = entry.state == ZoneState::installed && !former;
    if (!now || (!may_be_gone && former != journal->inode)) return unknown_trees(lock.name().str());
    if (entry.state == ZoneState::incomplete)
        ZF_TRY_STATUS(store.change_state(lock, ZoneState::incomplete, ZoneState::installed));
    std::vector<std::string> notes;
    put_manifest_away(zonepath->get(), false, notes);
    ZF_TRY_STATUS(remove_work(zonepath->get()));
    return MendedTo::after;
}

}  // namespace zoneferry
