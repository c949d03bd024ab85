-- Who makes the calls. The file does not say: four desks are made up so that there is a list to share out.
select * from (values (1, 'City A'), (2, 'City B'), (3, 'Resort A'), (4, 'Resort B')) as desk (owner_id, desk_name)
