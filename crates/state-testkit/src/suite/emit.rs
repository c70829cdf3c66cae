//! What is made of the list of a suite's cases. Every suite has one macro with its list, which
//! hands it to one of these.

/// One test of every case. `at` is the module of the suite, `run` the runtime, and
/// `fresh` a future of what a case works with, evaluated anew for each.
#[doc(hidden)]
#[macro_export]
macro_rules! emit_tests {
    (
        [$at:ident, $run:ident, $fresh:expr]
        $($group:ident { $($case:ident),+ $(,)? })+
    ) => {
        $(mod $group {
            #[allow(unused_imports, reason = "for the expression, if it is of a name from outside")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::suite::$run(async {
                    let subject = $fresh.await;
                    $crate::$at::$group::$case(&subject).await;
                });
            })+
        })+
    };
}

/// A function that runs all cases one after the other, and a check that the list has them all.
/// `folder` is where the groups' files are, seen from the file of the list.
macro_rules! emit_run_all {
    (
        [$at:ident, $subject:ty, $folder:literal]
        $($group:ident { $($case:ident),+ $(,)? })+
    ) => {
        /// Runs every case, one after the other, each with what it works with made anew: for
        /// backends that are dear to start.
        ///
        /// # Panics
        ///
        /// After the last, when cases failed: with their names.
        pub async fn run_all<F>(fresh: impl Fn() -> F)
        where
            F: std::future::Future<Output = $subject>,
        {
            let mut failed = Vec::new();
            $($(
                let subject = fresh().await;
                let case = async move { $crate::$at::$group::$case(&subject).await };
                if tokio::spawn(case).await.is_err() {
                    failed.push(concat!(stringify!($group), "::", stringify!($case)));
                }
            )+)+
            assert!(failed.is_empty(), "failed: {failed:?}");
        }

        #[cfg(test)]
        mod tests {
            #[test]
            fn every_case_is_listed() {
                $($crate::suite::assert_complete(
                    include_str!(concat!($folder, stringify!($group), ".rs")),
                    &[$(stringify!($case)),+],
                );)+
            }
        }
    };
}

pub(crate) use emit_run_all;
