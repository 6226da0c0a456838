//! Makes a plan smaller that breaks something, for as long as it breaks the same.

use kinesis_testkit::FaultPlan;

use crate::plan::Plan;

/// No more plans than this are tried.
const MOST_TRIES: usize = 400;

/// The smallest plan that was found of which `fails` says that it still does.
pub(crate) fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let (mut smallest, mut tries) = (plan.clone(), 0);
    let mut fails = |plan: &Plan| {
        tries += 1;
        tries <= MOST_TRIES && fails(plan)
    };
    loop {
        let before = smallest.clone();
        for class in smallest.faults.keys().cloned().collect::<Vec<_>>() {
            let rules = smallest.faults_of(&class).rules().to_vec();
            let rules = minimal(rules, |rules| {
                let mut plan = smallest.clone();
                plan.set_faults(&class, &FaultPlan::new(rules.to_vec()));
                fails(&plan)
            });
            smallest.set_faults(&class, &FaultPlan::new(rules));
        }
        let (steps, runs) = (smallest.steps.clone(), smallest.runs.clone());
        smallest.steps = minimal(steps, |steps| fails(&Plan { steps: steps.to_vec(), ..smallest.clone() }));
        smallest.runs =
            minimal(runs, |runs| !runs.is_empty() && fails(&Plan { runs: runs.to_vec(), ..smallest.clone() }));
        if smallest == before {
            return smallest;
        }
    }
}

/// Takes halves, quarters and so on out of a list, down to one at a time, where what is left still fails.
fn minimal<T: Clone>(list: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let (mut list, mut size) = (list, usize::MAX);
    while !list.is_empty() && size > 0 {
        size = size.min(list.len().div_ceil(2)).max(1);
        let mut from = 0;
        while from < list.len() {
            let without: Vec<T> = list
                .iter()
                .enumerate()
                .filter(|(at, _)| !(from..from + size).contains(at))
                .map(|(_, it)| it.clone())
                .collect();
            if fails(&without) {
                list = without;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size / 2 };
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::draw;
    use crate::plan::Step;

    #[test]
    fn two_of_many_are_found() {
        let list: Vec<u32> = (0..100).collect();
        let mut tries = 0;
        let found = minimal(list, |list| {
            tries += 1;
            list.contains(&17) && list.contains(&80)
        });
        assert_eq!(found, [17, 80]);
        assert!(tries < 80, "{tries}");
    }

    #[test]
    fn what_is_not_needed_is_taken_out_of_a_plan() {
        let has_split = |plan: &Plan| plan.steps.iter().any(|step| matches!(step.what, Step::Split { .. }));
        let is_rich = |plan: &Plan| has_split(plan) && plan.faults.contains_key("F1");
        let plan = (0..200).map(draw).find(is_rich).expect("one plan in ten is");
        let smallest = shrink(&plan, is_rich);
        assert_eq!((smallest.steps.len(), smallest.runs.len()), (1, 1), "{smallest:?}");
        assert_eq!(smallest.faults.keys().collect::<Vec<_>>(), ["F1"]);
        assert_eq!(smallest.faults_of("F1").rules().len(), 1);
    }

    #[test]
    fn tries_have_an_end() {
        let mut tries = 0;
        let plan = draw(3);
        // Nothing can be taken out, and everything is tried.
        let same = shrink(&plan, |_| {
            tries += 1;
            false
        });
        assert!(tries <= MOST_TRIES && same == plan, "{tries}");
    }
}
