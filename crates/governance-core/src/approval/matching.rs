//! Seats people so that as many seats as possible are filled.

/// Maximum matching of people to requirements with a number of seats each, by augmenting paths
/// (Kuhn's algorithm on a bipartite graph whose right side has capacities).
///
/// `edges[p]` are the requirements person `p` could sit in, `seats[r]` the seats of requirement
/// `r`. Returns who sits in which requirement. How many are seated does not depend on the order
/// of people; somebody who is seated stays seated when later people are added, perhaps elsewhere.
pub(super) fn seat(edges: &[Vec<usize>], seats: &[usize]) -> Vec<Vec<usize>> {
    let mut seated = vec![Vec::new(); seats.len()];
    let mut tried = vec![false; seats.len()];
    for person in 0..edges.len() {
        tried.fill(false);
        place(person, edges, seats, &mut seated, &mut tried);
    }
    seated
}

fn place(
    person: usize,
    edges: &[Vec<usize>],
    seats: &[usize],
    seated: &mut [Vec<usize>],
    tried: &mut [bool],
) -> bool {
    for &requirement in &edges[person] {
        if tried[requirement] {
            continue;
        }
        tried[requirement] = true;
        if seated[requirement].len() < seats[requirement] {
            seated[requirement].push(person);
            return true;
        }
        for at in 0..seated[requirement].len() {
            if place(seated[requirement][at], edges, seats, seated, tried) {
                seated[requirement][at] = person;
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn somebody_who_fits_twice_makes_room() {
        // Person 0 fits both, person 1 only the first.
        let seated = seat(&[vec![0, 1], vec![0]], &[1, 1]);
        assert_eq!(seated, [vec![1], vec![0]]);
    }

    /// Largest number of people seated, by trying everything.
    fn brute_force(edges: &[Vec<usize>], free: &mut [usize]) -> usize {
        let Some((first, rest)) = edges.split_first() else {
            return 0;
        };
        let mut best = brute_force(rest, free);
        for &requirement in first {
            if free[requirement] > 0 {
                free[requirement] -= 1;
                best = best.max(1 + brute_force(rest, free));
                free[requirement] += 1;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn seats_as_many_as_possible_and_nobody_twice(
            edges in prop::collection::vec(prop::collection::btree_set(0_usize..4, 0..4), 0..7),
            mut seats in prop::collection::vec(0_usize..3, 4),
        ) {
            let edges: Vec<Vec<usize>> =
                edges.into_iter().map(|set| set.into_iter().collect()).collect();
            let seated = seat(&edges, &seats);
            let mut people: Vec<usize> = seated.concat();
            for (requirement, sitting) in seated.iter().enumerate() {
                prop_assert!(sitting.len() <= seats[requirement]);
                prop_assert!(sitting.iter().all(|p| edges[*p].contains(&requirement)));
            }
            people.sort_unstable();
            let count = people.len();
            people.dedup();
            prop_assert_eq!(people.len(), count);
            prop_assert_eq!(count, brute_force(&edges, &mut seats));
        }
    }
}
