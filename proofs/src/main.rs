//! The words, the table and the file that the processes of a host share (`core/src/share`), as they stand there, against models that were written
//! down without looking at them.
#![cfg(target_os = "linux")]

// As the crate itself names what they need of it.
mod retry {
    pub use reknock::retry::{BudgetKind, DepositOn};
}
mod time {
    pub use reknock::Tick;
}
#[allow(dead_code)] // the rest is `purse.rs`'s
#[path = "../../core/src/share/file.rs"]
mod file;
#[path = "../../core/src/share/map.rs"]
mod map;
#[allow(dead_code)] // likewise
#[path = "../../core/src/share/table.rs"]
mod table;
#[path = "../../core/src/share/words.rs"]
mod words;

mod child;
mod histories;
mod model;
mod processes;
mod schedules;
mod tables;
mod trouble;

/// The long form: some minutes.
fn main() {
    step("300,000 steps against the model", || model::steps(750));
    step("garbage in memory, 1,000,000 rounds", || model::garbage(1_000_000));
    step("20,000 histories of three", || histories::all_could_be(20_000));
    step("words that forget their seals", || histories::forgetful_words_are_caught(20_000));
    step("loom, 3 preemptions, up to 100,000 schedules each", || schedules::all(3, 100_000));
    step("purses given up and made anew, 8 threads", || {
        tables::reclaim();
        tables::who_died_is_made_up_for();
        tables::race(8, 1_000_000);
    });
    for number in [2, 4, 8] {
        step(&format!("{number} processes, 1,000,000 steps each"), || processes::exact(number, 100, 10_000));
    }
    step("1,000 purses of 50, 8 processes", || processes::fifty(8, 1_000));
    step("2,000 kills among 6 processes", || trouble::kills(6, 2_000));
    step("1,000 kills while purses are given up", || trouble::kills_at_reclaim(6, 1_000));
    step("100 stops among 3 processes", || trouble::stops(100));
    step("garbage in the file while 4 processes use it", || trouble::garbage(4, 300_000));
    step("300 races of 8 who open it, half with a kill", || trouble::openings(300, 8));
    step("what a step costs", || processes::costs(20_000_000));
}

fn step(name: &str, run: impl FnOnce()) {
    let began = std::time::Instant::now();
    run();
    println!("ok: {name} ({:.1} s)", began.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_model() {
        model::steps(100);
        model::garbage(20_000);
    }

    #[test]
    fn histories_are_what_could_have_happened() {
        histories::all_could_be(300);
    }

    #[test]
    fn words_that_forget_their_seals_are_caught() {
        histories::forgetful_words_are_caught(20_000);
    }

    #[test]
    fn schedules_of_a_few_steps_are_exact() {
        schedules::all(2, 1_000);
    }

    #[test]
    fn purses_are_given_up_and_made_anew() {
        tables::reclaim();
        tables::who_died_is_made_up_for();
        tables::race(4, 20_000);
    }

    #[test]
    fn processes_are_exact() {
        processes::exact(4, 3, 10_000);
        processes::fifty(4, 20);
    }

    #[test]
    fn who_is_killed_or_stopped_hurts_nobody() {
        trouble::kills(4, 40);
        trouble::kills_at_reclaim(4, 40);
        trouble::stops(10);
    }

    #[test]
    fn garbage_hangs_nobody() {
        trouble::garbage(2, 20_000);
    }

    #[test]
    fn who_opens_it_at_once_opens_the_same() {
        trouble::openings(20, 6);
    }
}
