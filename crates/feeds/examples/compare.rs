//! temp
use std::collections::BTreeSet;
use tidewaiter_db::Database;
fn lines(db: &Database, cves: &mut BTreeSet<String>) -> Vec<String> {
    let mut out = vec![];
    for (e, k, n) in db.packages() {
        let mut rows: Vec<String> = db
            .rows(e, k, n)
            .map(|r| {
                let a = r.advisory().unwrap();
                for id in std::iter::once(&a.id).chain(&a.aliases).chain(&a.upstream) {
                    cves.insert(id.clone());
                }
                format!(
                    "{e} {k:?} {n} {:?} {:?} {:?} {:?} {:?} {}",
                    r.spans().collect::<Vec<_>>(),
                    r.never_affected(),
                    r.fix_state(),
                    r.severity(),
                    r.module(),
                    serde_json::to_string(&a).unwrap()
                )
            })
            .collect();
        rows.sort();
        rows.dedup();
        out.extend(rows);
    }
    out
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [a, b] = [&args[1], &args[2]].map(|p| Database::open_verified(p.as_ref()).unwrap());
    let (mut ca, mut cb) = (BTreeSet::new(), BTreeSet::new());
    let (la, lb) = (lines(&a, &mut ca), lines(&b, &mut cb));
    println!(
        "{} {} rows, {} {} advisories, {:?} {:?}",
        la.len(),
        lb.len(),
        a.meta().advisories,
        b.meta().advisories,
        a.meta().rows,
        b.meta().rows
    );
    let (sa, sb): (BTreeSet<_>, BTreeSet<_>) = (la.iter().collect(), lb.iter().collect());
    for l in sa.difference(&sb).take(5) {
        println!("- {l}");
    }
    for l in sb.difference(&sa).take(5) {
        println!("+ {l}");
    }
    println!("{} {} only", sa.difference(&sb).count(), sb.difference(&sa).count());
    ca.extend(cb);
    let mut n = 0;
    for c in &ca {
        let (x, y) = (a.cve(c).unwrap(), b.cve(c).unwrap());
        if x != y {
            println!("{c} {x:?} {y:?}");
        }
        n += usize::from(x.is_some());
    }
    println!("{n} cves of {}; sizes {:?} {:?}", ca.len(), a.section_sizes(), b.section_sizes());
}
