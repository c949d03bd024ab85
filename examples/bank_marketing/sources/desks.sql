-- Who makes the calls. The bank's file does not say: three desks are made up so that there is a list to share out.
select * from (values (1, 'Lisbon'), (2, 'Porto'), (3, 'Braga')) as desk (owner_id, desk_name)
